"""A path around all but the last norm of a layer keeps a Post-LN decoder's gradients alive."""

from collections.abc import Iterator, Mapping

import pandas as pd
from matplotlib.figure import Figure

from normexp.studies.claim import Claim
from normexp.studies.rows import GEOMETRIC, LOSS, fc2_gradients, loss_curves
from normexp.studies.statistics import finals, paired, per_seed, rate, trained, valid_loss
from normexp.studies.study import Runs, Study
from normexp.views.grid import where
from normexp.views.line_plot import line_plot

PAPER = "Takase et al. 2022"


class Takase2022(Study):
    """Takase et al. 2022, B2T Connection: Serving Stability and Performance in Deep Transformers."""

    def figures(self, runs: Mapping[str, Runs]) -> Iterator[tuple[str, Figure]]:
        yield (
            "layer_gradients",
            line_plot(
                fc2_gradients(runs["gradients"]),
                "layer",
                column="depth",
                row="stack",
                title=f"Gradient norm by layer, encoder and decoder ({PAPER}, figure of gradient norms; {self.size})",
                settings=runs["gradients"].heading("variant", "depth"),
                caption=f"Frobenius norm of the loss gradient for fc2 of every layer, at initialisation. {GEOMETRIC}",
                label="gradient norm",
                log="y",
            ),
        )
        yield (
            "inside_the_last_layer",
            line_plot(
                inside(runs["gradients"]),
                "point",
                title=f"Gradient inside the last decoder layer, from its output down ({PAPER}; {self.size})",
                settings=runs["gradients"].heading("variant", "depth"),
                caption="Norm of the loss gradient for the stream (S) and the branch output (B) of feed-forward "
                f"(FFN), cross-attention (cross) and attention (attn), 18-18, at initialisation. "
                f"From S to B lies a norm. {GEOMETRIC}",
                label="gradient norm",
                x_label="from the output down",
                names=dict(enumerate(("S FFN", "B FFN", "S cross", "B cross", "S attn", "B attn"), start=1)),
                log="y",
            ),
        )
        yield (
            "loss",
            line_plot(
                loss_curves(runs["deep"]),
                "step",
                title=f"Training loss at 18-18 ({PAPER}, figure of loss curves; {self.size})",
                settings=runs["deep"].heading("variant", "depth"),
                caption=LOSS,
                label="nats per token",
            ),
        )

    def claims(self, runs: Mapping[str, Runs]) -> Iterator[Claim]:
        yield from _at_the_start(runs["gradients"])
        yield from _training(runs["deep"].frame, runs["six"].frame)


def _at_the_start(runs: Runs) -> Iterator[Claim]:
    points = where(inside(runs), variant="post_ln")

    def across_norms(seed: pd.DataFrame) -> float:
        at = seed.set_index("point")["value"]
        return float(sum(at[2 * k] / at[2 * k - 1] for k in (1, 2, 3)) / 3)

    yield Claim(
        "norms-take",
        "In a Post-LN decoder layer it is the norms that make the gradient smaller.",
        f"{PAPER}, section 3 and figure of a layer's inside",
        "gradient in front of a norm over that behind it, mean over the last layer's three",
        per_seed(points, across_norms),
        high=1,
    )

    def between(seed: pd.DataFrame) -> float:
        at = seed.set_index("point")["value"]
        return float((at[3] / at[2] + at[5] / at[4]) / 2)

    yield Claim(
        "sums-keep",
        "The branches and their skips do not.",
        f"{PAPER}, section 3 and figure of a layer's inside",
        "gradient below a branch and its skip over that above, mean over the last layer's upper two",
        per_seed(points, between),
        low=1,
    )
    rows = where(fc2_gradients(runs), depth=18)
    slopes = {
        (variant, stack): per_seed(
            where(rows, variant=variant, stack=stack), lambda seed: rate(seed["layer"], seed["value"])
        )
        for variant in ("post_ln", "pre_ln", "b2t")
        for stack in ("encoder", "decoder")
    }
    place = zip(*(slopes[variant, "decoder"] for variant in ("pre_ln", "b2t", "post_ln")), strict=True)
    yield Claim(
        "b2t-between",
        "B2T's decoder gradients decay less than Post-LN's: they lie between Post-LN's and Pre-LN's.",
        f"{PAPER}, section 4 and figure of gradient norms",
        "r of gradient ∝ e^(r·layer), decoder of 18: B2T's place between Pre-LN's (0) and Post-LN's (1)",
        [(b2t - pre) / (post - pre) for pre, b2t, post in place],
        0,
        1,
    )
    by_layer = "r of gradient ∝ e^(r·layer), encoder of 18 layers"
    yield Claim(
        "pre-bottom",
        "Pre-LN's encoder gradients are larger at the bottom.",
        f"{PAPER}, figure of gradient norms",
        by_layer,
        slopes["pre_ln", "encoder"],
        high=0,
    )
    yield Claim(
        "post-top",
        "Post-LN keeps larger gradients at the top of its decoder.",
        f"{PAPER}, figure of gradient norms",
        "r of gradient ∝ e^(r·layer), decoder of 18 layers",
        slopes["post_ln", "decoder"],
        low=0,
    )


def _training(deep: pd.DataFrame, six: pd.DataFrame) -> Iterator[Claim]:
    yield Claim(
        "b2t-18",
        "B2T of 18 layers trains, where Post-LN does not.",
        f"{PAPER}, table of 18 layers",
        "share of the runs that are trained, B2T's less Post-LN's",
        [b2t - post for b2t, post in zip(trained(deep, variant="b2t"), trained(deep, variant="post_ln"), strict=True)],
        low=1,
        training=True,
    )
    yield Claim(
        "b2t-beats-pre",
        "At 18 layers B2T is better than Pre-LN.",
        f"{PAPER}, table of 18 layers (27.5 against 26.6 BLEU)",
        "B2T's validation loss less Pre-LN's, nats per token",
        paired(valid_loss(deep, variant="b2t"), valid_loss(deep, variant="pre_ln")),
        high=0,
        training=True,
    )
    yield Claim(
        "post-beats-pre-6",
        "At 6 layers Post-LN is better than Pre-LN.",
        f"{PAPER}, table of 6 layers",
        "Post-LN's validation loss less Pre-LN's, nats per token",
        paired(valid_loss(six, variant="post_ln"), valid_loss(six, variant="pre_ln")),
        high=0,
        training=True,
    )
    yield Claim(
        "b2t-6",
        "At 6 layers B2T loses nothing against Post-LN.",
        f"{PAPER}, table of 6 layers",
        "B2T's final loss less Post-LN's, nats per token",
        paired(finals(six, variant="b2t"), finals(six, variant="post_ln")),
        high=0,
        training=True,
    )


def inside(runs: Runs) -> pd.DataFrame:
    """Gradients for stream and branch of the last decoder layer at 18-18, `point` counting from its output down."""
    rows = runs.layers("stream_grad_norm", "branch_grad_norm", stack="decoder", layer=18)
    order = {"feed_forward": 0, "cross_attention": 2, "attention": 4}
    below = {"stream_grad_norm": 1, "branch_grad_norm": 2}
    return rows.assign(point=rows["site"].map(order) + rows["statistic"].map(below)).sort_values("point", kind="stable")
