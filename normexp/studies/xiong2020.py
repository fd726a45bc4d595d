"""Where the norm sits decides how large the gradients near the output are when training starts."""

import math
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from normexp.studies.claim import Claim
from normexp.studies.rows import GEOMETRIC, LOSS, fc2_gradients, last_fc2_gradient, loss_curves
from normexp.studies.statistics import exponent, finals, paired, per_seed, rate, ratio, steps_to
from normexp.studies.study import Runs, Study
from normexp.views.grid import where
from normexp.views.line_plot import line_plot

PAPER = "Xiong et al. 2020"


class Xiong2020(Study):
    """Xiong et al. 2020, On Layer Normalization in the Transformer Architecture."""

    def figures(self, runs: Mapping[str, Runs]) -> Iterator[tuple[str, Figure]]:
        yield (
            "last_gradient",
            line_plot(
                last_fc2_gradient(runs["size"]),
                "depth",
                title=f"Gradient of the last feed-forward matrix against depth ({PAPER}, figure 3c, d; {self.size})",
                settings=runs["size"].heading("variant", "depth"),
                caption="Frobenius norm of the loss gradient for fc2 of the last decoder layer, at initialisation. "
                + GEOMETRIC,
                label="gradient norm",
                x_label="layers in encoder and decoder",
                log="xy",
            ),
        )
        yield (
            "layer_gradients",
            line_plot(
                fc2_gradients(runs["size"]),
                "layer",
                column="depth",
                row="stack",
                title=f"Gradient of fc2 by layer ({PAPER}, figure 3a, b; {self.size})",
                settings=runs["size"].heading("variant", "depth"),
                caption=f"Frobenius norm of the loss gradient for fc2 of every layer, at initialisation. {GEOMETRIC}",
                label="gradient norm",
                log="y",
            ),
        )
        lemma = runs["lemma"].layers("stream_norm", "sum_norm", site="feed_forward")
        lemma = lemma[lemma["statistic"] == lemma["variant"].map({"post_ln": "sum_norm", "pre_ln": "stream_norm"})]
        yield (
            "hidden_norm",
            line_plot(
                lemma,
                "layer",
                title=f"Size of what a layer hands on ({PAPER}, lemma 2; {self.size})",
                settings=runs["lemma"].heading("variant", "depth"),
                caption="Mean squared norm over width, at initialisation, in the paper's simplified setting. post_ln: "
                "what the norm behind the feed-forward reads; pre_ln: the stream behind layer l. Ours enters with 1.5 "
                "where the paper's has 1 (positions are added), so its band is shifted. Bands: smallest to largest "
                "seed.",
                label="‖x‖²/width",
                lines={
                    "post_ln: 3/2": lambda layer: 1.5 + 0 * layer,
                    "pre_ln: x₀ + l/2": lambda layer: _entered(runs) + layer / 2,
                    "pre_ln: x₀ + 3l/2": lambda layer: _entered(runs) + 3 * layer / 2,
                },
            ),
        )
        curves = loss_curves(runs["warmup"])
        yield (
            "warmup",
            line_plot(
                curves,
                "step",
                column="warmup",
                title=f"Training loss without and with warm-up at depth 6 ({PAPER}, figure 2; {self.size})",
                settings=runs["warmup"].heading("variant", "warmup"),
                caption=LOSS,
                label="nats per token",
            ),
        )

    def claims(self, runs: Mapping[str, Runs]) -> Iterator[Claim]:
        yield from _at_the_start(runs)
        yield from _lemma(runs["lemma"])
        yield from _training(runs)


def _at_the_start(runs: Mapping[str, Runs]) -> Iterator[Claim]:
    last, all_layers = last_fc2_gradient(runs["size"]), fc2_gradients(runs["size"])
    post, pre = (where(last, variant=variant) for variant in ("post_ln", "pre_ln"))
    slope = "exponent p of norm ∝ depth^p"
    yield Claim(
        "post-flat",
        "Post-LN's gradient near the output does not depend on the depth.",
        f"{PAPER}, theorem 1 and figure 3c",
        slope,
        per_seed(post, lambda seed: exponent(seed["depth"], seed["value"])),
        -0.25,
        0.15,
    )
    yield Claim(
        "pre-falls",
        "Pre-LN's falls like a power of the depth (in theory −1/2).",
        f"{PAPER}, theorem 1 and figure 3d",
        slope,
        per_seed(pre, lambda seed: exponent(seed["depth"], seed["value"])),
        -0.9,
        -0.35,
    )
    yield Claim(
        "post-level",
        "Over 6 to 14 layers Post-LN's stays within a third.",
        f"{PAPER}, figure 3c",
        "largest over smallest norm",
        per_seed(post, lambda seed: ratio(seed["value"])),
        1.0,
        1.3,
    )
    layers = where(all_layers, depth=6, stack="decoder")
    by_layer = "r of gradient ∝ e^(r·layer), decoder of 6 layers"
    yield Claim(
        "post-grows",
        "Post-LN's gradient grows from layer to layer towards the output.",
        f"{PAPER}, figure 3a",
        by_layer,
        per_seed(where(layers, variant="post_ln"), lambda seed: rate(seed["layer"], seed["value"])),
        low=0.15,
    )
    yield Claim(
        "pre-even",
        "Pre-LN's is about the same in every layer.",
        f"{PAPER}, figure 3b",
        by_layer,
        per_seed(where(layers, variant="pre_ln"), lambda seed: rate(seed["layer"], seed["value"])),
        -0.12,
        0.12,
    )


def _lemma(runs: Runs) -> Iterator[Claim]:
    rows = runs.layers("stream_norm", "sum_norm")
    sums = where(rows, variant="post_ln", statistic="sum_norm", site="feed_forward")
    yield Claim(
        "lemma-post",
        "What Post-LN's norm behind a feed-forward reads has a squared norm of 3/2 times the width, in every layer.",
        f"{PAPER}, lemma 2",
        "largest distance from 3/2, as a share of it",
        per_seed(sums, lambda seed: float((seed["value"] / 1.5 - 1).abs().max())),
        high=0.05,
    )
    stream = where(rows, variant="pre_ln", statistic="stream_norm")

    def outside(seed: pd.DataFrame) -> float:
        """How far the growth of the stream leaves its band, as a share of the band's edge; below 0 inside."""
        entered = float(where(seed, layer=0)["value"].iloc[0])
        at = where(seed, site="feed_forward").set_index("layer")["value"]
        layer = at.index.to_numpy()
        above, below = at / (entered + 1.5 * layer) - 1, 1 - at / (entered + 0.5 * layer)
        return float(max(above.max(), below.max()))

    yield Claim(
        "lemma-pre",
        "Pre-LN's stream grows with the layer l by between l/2 and 3l/2 times the width.",
        f"{PAPER}, lemma 2",
        "how far outside, as a share of the edge (below 0: inside)",
        per_seed(stream, outside),
        high=0.05,
    )


def _training(runs: Mapping[str, Runs]) -> Iterator[Claim]:
    frame = runs["warmup"].frame
    gaps, units = {}, {}
    for variant in ("post_ln", "pre_ln"):
        warm, cold = (finals(frame, variant=variant, warmup=warmup) for warmup in ("10%", "0"))
        gaps[variant] = pd.Series(paired(cold, warm), index=warm.index)
        units[variant] = float(warm[np.isfinite(warm)].std())
    yield Claim(
        "warmup-post",
        "Without warm-up Post-LN ends far worse than with it.",
        f"{PAPER}, figure 2",
        "rise of the final loss, in standard deviations of the seeds with warm-up",
        list(gaps["post_ln"] / units["post_ln"]),
        low=10,
        training=True,
    )
    yield Claim(
        "warmup-pre",
        "Pre-LN trains without warm-up as well as with it.",
        f"{PAPER}, section 4.2",
        "rise of the final loss, in standard deviations of the seeds with warm-up",
        list(gaps["pre_ln"] / units["pre_ln"]),
        high=3,
        training=True,
    )
    yield Claim(
        "warmup-differs",
        "Leaving warm-up out costs Post-LN more than Pre-LN.",
        f"{PAPER}, figures 2 and 4",
        "rise of Post-LN's final loss less that of Pre-LN's, nats per token",
        list(gaps["post_ln"] - gaps["pre_ln"]),
        low=0.1,
        training=True,
    )
    curves = runs["warmup"].curves("nll", split="train")
    level = float(frame["baseline.position_only"].iloc[0]) / 2

    def steps(variant: str, warmup: str) -> pd.Series:
        rows = where(curves, variant=variant, warmup=warmup)
        return pd.Series({seed: steps_to(part, level) for seed, part in rows.groupby("seed")})

    yield Claim(
        "pre-faster",
        "Pre-LN without warm-up gets there sooner than Post-LN with it.",
        f"{PAPER}, figure 4 (epoch 9 against epoch 15)",
        "steps to half of the position-only level, Pre-LN's over Post-LN's",
        list(steps("pre_ln", "0") / steps("post_ln", "10%")),
        high=1,
        training=True,
    )
    gradients = where(last_fc2_gradient(runs["warmup"]), variant="post_ln", warmup="10%")
    after = int(float(frame["steps"].iloc[0]) / 10)
    yield Claim(
        "gradient-after-warmup",
        "When Post-LN's warm-up is over, the large gradients near its output have become small.",
        f"{PAPER}, figure 3a",
        f"gradient of the last fc2 at step {after} over that at step 1",
        per_seed(gradients, lambda seed: _at(seed, after) / _at(seed, 1)),
        high=0.5,
        training=True,
    )
    radam, adam = finals(runs["radam"].frame, variant="pre_ln"), finals(frame, variant="pre_ln", warmup="0")
    yield Claim(
        "radam",
        "With Pre-LN and without warm-up RAdam changes little against Adam.",
        f"{PAPER}, figure 4",
        "RAdam's final loss less Adam's, nats per token",
        paired(radam, adam),
        -0.05,
        0.05,
        training=True,
    )


def _at(rows: pd.DataFrame, step: int) -> float:
    """The value at a step; NaN where the run diverged before."""
    return float(next(iter(rows.loc[rows["step"] == step, "value"]), math.nan))


def _entered(runs: Mapping[str, Runs]) -> float:
    """The size with which embedded tokens enter the stack."""
    return float(runs["lemma"].layers("stream_norm", layer=0)["value"].mean())
