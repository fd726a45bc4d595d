"""A path around all but the last norm of a layer keeps a Post-LN decoder's gradients alive."""

from collections.abc import Callable

import pandas as pd

from normexp.studies.declare import Drawn, Values, claim, figure
from normexp.studies.rows import FC2, GEOMETRIC, LOSS, NATS, fc2_gradients, loss_curves
from normexp.studies.statistics import loss_gap, per_seed, rate, trained, valid_loss
from normexp.studies.study import Runs, Study
from normexp.views.grid import where

POINTS = ("S FFN", "B FFN", "S cross", "B cross", "S attn", "B attn")
INSIDE = "section 3 and figure of the gradients inside a layer"
DECODER = "r of gradient ∝ e^(r·layer), decoder of 18 layers"


class Takase2022(Study):
    citation = "Takase et al. 2022"
    title = "B2T Connection: Serving Stability and Performance in Deep Transformers"

    @figure(
        "figure of gradient norms",
        title="Gradient norm by layer, encoder and decoder",
        x="layer",
        column="depth",
        row="stack",
        label="gradient norm",
        log="y",
        caption=FC2,
    )
    def layer_gradients(self) -> Drawn:
        return fc2_gradients(self.runs["gradients"])

    @figure(
        title="Gradient inside the last decoder layer, from its output down",
        x="point",
        label="gradient norm",
        x_label="from the output down",
        names=dict(enumerate(POINTS, start=1)),
        log="y",
        caption="Norm of the loss gradient of the stream (S) and of the branch output (B) of feed-forward (FFN), "
        "cross-attention (cross) and attention (attn), 18 layers, at initialisation. In Post-LN a norm sits between "
        f"S and B. {GEOMETRIC}",
    )
    def inside_the_last_layer(self) -> Drawn:
        return inside(self.runs["gradients"])

    @figure("figure of loss curves", title="Training loss at 18 layers", x="step", label=NATS, caption=LOSS)
    def loss(self) -> Drawn:
        return loss_curves(self.runs["deep"])

    @claim(INSIDE, "gradient before a norm over that after it, mean over the three norms of the last layer",
           kind="ratio", at_most=1, source="theory")  # fmt: skip
    def norms_take(self) -> Values:
        """The norms make the gradient smaller in a Post-LN decoder layer."""
        return self._inside(lambda at: sum(at[2 * k] / at[2 * k - 1] for k in (1, 2, 3)) / 3)

    @claim(INSIDE, "gradient before a residual connection over that after it, mean of two in the last layer",
           kind="ratio", at_least=1, source="theory")  # fmt: skip
    def sums_keep(self) -> Values:
        """The residual connections do not make the gradient smaller in a Post-LN decoder layer."""
        return self._inside(lambda at: (at[3] / at[2] + at[5] / at[4]) / 2)

    @claim("section 4 and figure of gradient norms", f"{DECODER}: B2T's place between Pre-LN's (0) and Post-LN's (1)",
           kind="level", within=(0, 1), source="figure")  # fmt: skip
    def b2t_between(self) -> Values:
        """The decay of B2T's decoder gradients is between Pre-LN's and Post-LN's."""
        pre, b2t, post = (self._rate(variant, "decoder") for variant in ("pre_ln", "b2t", "post_ln"))
        return [(b - low) / (high - low) for low, b, high in zip(pre, b2t, post, strict=True)]

    @claim("figure of gradient norms", "r of gradient ∝ e^(r·layer), encoder of 18 layers", kind="exponent", at_most=0,
           source="figure")  # fmt: skip
    def pre_bottom(self) -> Values:
        """Pre-LN's encoder gradients are larger at the bottom than at the top."""
        return self._rate("pre_ln", "encoder")

    @claim("figure of gradient norms", DECODER, kind="exponent", at_least=0, source="figure")
    def post_top(self) -> Values:
        """Post-LN's decoder gradients are larger at the top than at the bottom."""
        return self._rate("post_ln", "decoder")

    @claim("table of 18 layers", "share of the runs that are trained: B2T − Post-LN", kind="share", at_least=1,
           source="figure")  # fmt: skip
    def b2t_18(self) -> Values:
        """B2T of 18 layers trains where Post-LN does not."""
        b2t, post = (trained(self.runs["deep"].frame, variant=variant) for variant in ("b2t", "post_ln"))
        return [a - b for a, b in zip(b2t, post, strict=True)]

    @claim("table of 18 layers (27.5 against 26.6 BLEU)", f"validation loss: B2T − Pre-LN, {NATS}", kind="difference",
           at_most=0, source="figure")  # fmt: skip
    def b2t_beats_pre(self) -> Values:
        """B2T of 18 layers reaches a lower loss than Pre-LN."""
        return loss_gap(self.runs["deep"].frame, {"variant": "b2t"}, {"variant": "pre_ln"}, valid_loss)

    @claim(
        "table of 6 layers", f"validation loss: Post-LN − Pre-LN, {NATS}", kind="difference", at_most=0, source="figure"
    )
    def post_beats_pre_6(self) -> Values:
        """Post-LN of 6 layers reaches a lower loss than Pre-LN."""
        return loss_gap(self.runs["six"].frame, {"variant": "post_ln"}, {"variant": "pre_ln"}, valid_loss)

    @claim("table of 6 layers", f"final loss: B2T − Post-LN, {NATS}", kind="difference", at_most=0, source="figure")
    def b2t_6(self) -> Values:
        """B2T of 6 layers reaches a loss no higher than Post-LN's."""
        return loss_gap(self.runs["six"].frame, {"variant": "b2t"}, {"variant": "post_ln"})

    def _inside(self, statistic: Callable[[pd.Series], float]) -> Values:
        rows = where(inside(self.runs["gradients"]), variant="post_ln")
        return per_seed(rows, lambda seed: float(statistic(seed.set_index("point")["value"])))

    def _rate(self, variant: str, stack: str) -> list[float]:
        rows = fc2_gradients(self.runs["gradients"], depth=18, variant=variant, stack=stack)
        return per_seed(rows, lambda seed: rate(seed["layer"], seed["value"]))


def inside(runs: Runs) -> pd.DataFrame:
    """Gradients of stream and branch in the last of 18 decoder layers, `point` counting from its output down."""
    rows = runs.layers("stream_grad_norm", "branch_grad_norm", stack="decoder", layer=18)
    order = {"feed_forward": 0, "cross_attention": 2, "attention": 4}
    below = {"stream_grad_norm": 1, "branch_grad_norm": 2}
    return rows.assign(point=rows["site"].map(order) + rows["statistic"].map(below)).sort_values("point", kind="stable")
