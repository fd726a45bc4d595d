"""A path around all but the last norm of a layer keeps a Post-LN decoder's gradients alive."""

import pandas as pd

from normexp.studies.control import Control
from normexp.studies.declare import Drawn, Values, claim, figure
from normexp.studies.rows import (
    FC2_BY_LAYER,
    LOSS_BY_STEP,
    REDUCIBLE,
    deep_runs,
    drawn_losses,
    fc2_gradients,
    stream_gradients,
)
from normexp.studies.statistics import (
    exponent,
    fits,
    per_seed,
    rate,
    trained_where,
)
from normexp.studies.study import Runs, Study
from normexp.studies.verdict import EXPONENT_MARGIN
from normexp.studies.windows import LOWER, MOST, NO_HIGHER_LOSS, at_least, at_most, within
from normexp.views.grid import where

POINTS = ("S FFN", "B FFN", "S cross", "B cross", "S attn", "B attn")
INSIDE = "section 3 and figure of the gradients inside a layer"
DECODER = "r of the stream's gradient ∝ e^(r·layer), decoder of 18 layers"


class Takase2022(Control, Study):
    paper = "takase2022"

    @figure("figure of gradient norms", title="Gradient norm by layer, encoder and decoder", **FC2_BY_LAYER)
    def layer_gradients(self) -> Drawn:
        return fc2_gradients(self.runs["gradients"])

    @figure(
        title="Gradient inside the last decoder layer, from its output down",
        x="point",
        label="gradient norm",
        x_label="from the output down",
        names=dict(enumerate(POINTS, start=1)),
        log="y",
        joined=False,
        caption="Norm of the loss gradient of the stream (S) and of the branch output (B) of feed-forward (FFN), "
        "cross-attention (cross) and attention (attn), 18 layers, at initialisation. In Post-LN a norm sits between "
        "S and B.",
    )
    def inside_the_last_layer(self) -> Drawn:
        return inside(self.runs["gradients"])

    @figure("figure of loss curves", title="Training loss at 18 layers", **LOSS_BY_STEP)
    def loss(self) -> Drawn:
        return drawn_losses(*deep_runs(self, "b2t"))

    @claim(
        INSIDE,
        "gradient before a norm / after it, times the deviation of the norm's input, mean over the last layer",
        within(0.95, 1.05, "equivalence", "theory"),
    )
    def norms_take(self) -> Values:
        """The norms of a Post-LN decoder layer divide the gradient by the standard deviation of their input."""
        sizes = self.runs["gradients"].layers("sum_norm", stack="decoder", layer=18)
        sizes = where(sizes, depth=18, variant="post_ln").pivot_table(index="seed", columns="site", values="value")

        def divided(seed: pd.DataFrame) -> float:
            at, size = seed.set_index("point")["value"], sizes.loc[seed["seed"].iloc[0]]
            sites = enumerate(("feed_forward", "cross_attention", "attention"))
            return float(sum(at[2 * k + 2] / at[2 * k + 1] * size[site] ** 0.5 for k, site in sites) / 3)

        return per_seed(where(inside(self.runs["gradients"]), variant="post_ln"), divided)

    @claim(
        INSIDE,
        "gradient before a residual connection over that after it, mean of two in the last layer",
        at_least(1, "ratio", "theory"),
    )
    def sums_keep(self) -> Values:
        """The residual connections of a Post-LN decoder layer do not make the gradient smaller."""

        def between(seed: pd.DataFrame) -> float:
            at = seed.set_index("point")["value"]
            return float((at[3] / at[2] + at[5] / at[4]) / 2)

        return per_seed(where(inside(self.runs["gradients"]), variant="post_ln"), between)

    @claim(
        "section 4 and figure of gradient norms",
        f"{DECODER}: B2T's place between Pre-LN's (0) and Post-LN's (1)",
        within(0, 1, "level", "figure"),
    )
    def b2t_between(self) -> Values:
        """The decay of B2T's decoder gradients is between Pre-LN's and Post-LN's."""
        pre, b2t, post = (self._decay(variant) for variant in ("pre_ln", "b2t", "post_ln"))
        return [(b - low) / (high - low) for low, b, high in zip(pre, b2t, post, strict=True)]

    @claim(
        "figure of gradient norms",
        "exponent p of gradient ∝ layer^p, encoder of 18 layers",
        at_most(-EXPONENT_MARGIN, "exponent", "convention"),
    )
    def pre_bottom(self) -> Values:
        """Pre-LN's encoder gradients are larger at the bottom than at the top."""
        rows = fc2_gradients(self.runs["gradients"], depth=18, variant="pre_ln", stack="encoder")
        return fits(rows, exponent, "layer")

    @claim("table of 18 layers", "share of the seeds at which B2T is trained and Post-LN is not", MOST)
    def b2t_18(self) -> Values:
        """B2T of 18 layers trains where Post-LN does not."""
        return trained_where(self._deep(), {"variant": "b2t"}, {"variant": "post_ln"})

    @claim("table of 18 layers (27.5 against 26.6 BLEU)", f"final loss: B2T − Pre-LN, {REDUCIBLE}", LOWER)
    def b2t_beats_pre(self) -> Values:
        """B2T of 18 layers reaches a lower loss than Pre-LN."""
        return self._lower_loss(self._deep(), "b2t", "pre_ln")

    @claim("table of 6 layers", f"final loss: Post-LN − Pre-LN, {REDUCIBLE}", LOWER)
    def post_beats_pre_6(self) -> Values:
        """Post-LN of 6 layers reaches a lower loss than Pre-LN."""
        return self._lower_loss(self.runs["six"].frame, "post_ln", "pre_ln")

    @claim("table of 6 layers", f"final loss: B2T − Post-LN, {REDUCIBLE}", NO_HIGHER_LOSS)
    def b2t_6(self) -> Values:
        """B2T of 6 layers reaches a loss no higher than Post-LN's."""
        return self._lower_loss(self.runs["six"].frame, "b2t", "post_ln")

    def _deep(self) -> pd.DataFrame:
        return pd.concat([runs.frame for runs in deep_runs(self, "b2t")], ignore_index=True)

    def _lower_loss(self, frame: pd.DataFrame, one: str, other: str) -> Values:
        return self.ordering(frame, {"variant": one}, {"variant": other})

    def _decay(self, variant: str) -> list[float]:
        rows = stream_gradients(self.runs["gradients"], "decoder", depth=18, variant=variant)
        return fits(rows, rate, "layer")


def inside(runs: Runs) -> pd.DataFrame:
    """Gradients of stream and branch in the last of 18 decoder layers, `point` counting from its output down."""
    rows = runs.layers("stream_grad_norm", "branch_grad_norm", stack="decoder", layer=18)
    order = {"feed_forward": 0, "cross_attention": 2, "attention": 4}
    below = {"stream_grad_norm": 1, "branch_grad_norm": 2}
    return rows.assign(point=rows["site"].map(order) + rows["statistic"].map(below)).sort_values("point", kind="stable")
