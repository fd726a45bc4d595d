"""Post-LN fails because its first updates are too large; a heavier skip and lighter branches bound them."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from normexp.studies.claim import Claim
from normexp.studies.rows import GEOMETRIC, LOSS, last_fc2_gradient, loss_curves
from normexp.studies.statistics import exponent, finals, paired, per_seed, ratio, trained
from normexp.studies.study import Runs, Study
from normexp.views.grid import where
from normexp.views.line_plot import line_plot

PAPER = "Wang et al. 2022 (DeepNet)"


class DeepNet2022(Study):
    """Wang et al. 2022, DeepNet: Scaling Transformers to 1,000 Layers."""

    def figures(self, runs: Mapping[str, Runs]) -> Iterator[tuple[str, Figure]]:
        yield (
            "update_and_depth",
            line_plot(
                updates(runs["update"]),
                "depth",
                title=f"How far one step moves the output, against depth ({PAPER}, figure 5; {self.size})",
                settings=runs["update"].heading("variant", "depth"),
                caption="Mean distance per token between the decoder's outputs before and after one step of gradient "
                f"descent at lr 1e-3, from the initial weights. {GEOMETRIC}",
                label="‖ΔF‖",
                x_label="layers in encoder and decoder",
                log="xy",
            ),
        )
        moved = runs["deep"].layers("model_update", stack="decoder")
        yield (
            "model_update",
            line_plot(
                moved[moved["value"] > 0],
                "step",
                title=f"How far the output has moved since the start, 18-18 ({PAPER}, figure 4a; {self.size})",
                settings=runs["deep"].heading("variant", "depth"),
                caption="Mean distance per token between the decoder's outputs now and with its initial weights. "
                + GEOMETRIC,
                label="‖F(x, θₜ) − F(x, θ₀)‖",
                log="y",
            ),
        )
        sums = runs["deep"].layers("sum_norm", stack="decoder")
        yield (
            "norm_inputs",
            line_plot(
                sums.groupby(["variant", "seed", "step", "site"], sort=False)["value"].mean().reset_index(),
                "step",
                column="site",
                title=f"What the norms of the decoder would read, 18-18 ({PAPER}, figure 4b; {self.size})",
                settings=runs["deep"].heading("variant", "depth"),
                caption="Mean squared norm over width of stream + branch, mean over the layers; in Post-LN the norm "
                f"reads it. {GEOMETRIC}",
                label="‖x + F(x)‖²/width",
                log="y",
            ),
        )
        yield (
            "loss",
            line_plot(
                loss_curves(runs["small"]),
                "step",
                colour="init",
                title=f"Post-LN of 18 layers with smaller lower layers ({PAPER}, figure 3c; {self.size})",
                settings=runs["small"].heading("init"),
                caption=LOSS,
                label="nats per token",
            ),
        )

    def claims(self, runs: Mapping[str, Runs]) -> Iterator[Claim]:
        yield from _updates(updates(runs["update"]), updates(runs["matrices"]))
        yield from _smaller_lower_layers(runs)
        yield from _training(runs["deep"])


def _updates(rows: pd.DataFrame, of_matrices: pd.DataFrame) -> Iterator[Claim]:
    yield Claim(
        "deepnorm-bounded",
        "However deep DeepNorm is, one step moves its output equally far.",
        f"{PAPER}, theorem 4.2 and figure 5",
        "largest over smallest change, 6 to 96 layers",
        per_seed(where(rows, variant="deep_norm"), lambda seed: ratio(seed["value"])),
        high=3,
    )
    yield Claim(
        "deepnorm-bounded-matrices",
        "So it is when the matrices of the sub-layers alone are stepped, of which the theorem speaks.",
        f"{PAPER}, theorem 4.2",
        "largest over smallest change, 6 to 96 layers",
        per_seed(where(of_matrices, variant="deep_norm"), lambda seed: ratio(seed["value"])),
        high=3,
    )
    yield Claim(
        "post-grows",
        "The deeper Post-LN is, the farther.",
        f"{PAPER}, figure 5",
        "exponent p of change ∝ depth^p",
        per_seed(where(rows, variant="post_ln"), lambda seed: exponent(seed["depth"], seed["value"])),
        low=0.5,
    )


def _smaller_lower_layers(runs: Mapping[str, Runs]) -> Iterator[Claim]:
    last = last_fc2_gradient(runs["init"])
    gradient = {init: where(last, init=init).set_index("seed")["value"] for init in ("xavier_normal", "post_ln_init")}
    yield Claim(
        "larger-gradient",
        "Post-LN with smaller lower layers has the larger gradient in its last layer.",
        f"{PAPER}, figure 3b",
        "gradient of the last fc2, with smaller lower layers over with Xavier's",
        list(gradient["post_ln_init"] / gradient["xavier_normal"]),
        low=1,
    )
    frame = runs["small"].frame
    yield Claim(
        "yet-trains",
        "It trains better all the same.",
        f"{PAPER}, figure 3c",
        "final loss at 18 layers, with smaller lower layers less Xavier's, nats per token",
        paired(*(finals(frame, init=init) for init in ("post_ln_init", "xavier_normal"))),
        high=-0.1,
        training=True,
    )


def _training(runs: Runs) -> Iterator[Claim]:
    yield Claim(
        "deepnorm-18",
        "DeepNorm of 18 layers trains.",
        f"{PAPER}, table 1",
        "share of the runs that are trained",
        trained(runs.frame, variant="deep_norm"),
        low=1,
        training=True,
    )
    yield Claim(
        "deepnorm-beats-pre",
        "Where both train, DeepNorm is better than Pre-LN.",
        f"{PAPER}, table 1 (28.8 against 28.1 BLEU)",
        "final loss at 18 layers, DeepNorm's less Pre-LN's, nats per token",
        paired(finals(runs.frame, variant="deep_norm"), finals(runs.frame, variant="pre_ln")),
        high=0,
        training=True,
    )
    moved = runs.layers("model_update", stack="decoder", step=50)
    far = {variant: where(moved, variant=variant).set_index("seed")["value"] for variant in ("post_ln", "deep_norm")}
    yield Claim(
        "post-jumps",
        "In the first steps Post-LN's output moves farther than DeepNorm's.",
        f"{PAPER}, figure 4a",
        "distance from the start after 49 steps, Post-LN's over DeepNorm's",
        list(far["post_ln"] / far["deep_norm"]),
        low=1,
        training=True,
    )
    sums = where(runs.layers("sum_norm", stack="decoder"), variant="post_ln")

    def growth(seed: pd.DataFrame) -> float:
        means = seed.groupby("step")["value"].mean()
        return float(means.get(100, np.nan) / means[1])  # of a run that diverged before it cannot be told

    yield Claim(
        "inputs-grow",
        "What Post-LN's norms read grows as it begins to train.",
        f"{PAPER}, figure 4b",
        "mean squared norm of stream + branch at step 100 over that at step 1, decoder",
        per_seed(sums, growth),
        low=1.5,
        training=True,
    )


def updates(runs: Runs) -> pd.DataFrame:
    """How far one step moves the decoder's output."""
    return runs.layers("update_shift_norm", stack="decoder", layer=0)
