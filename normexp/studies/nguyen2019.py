"""Pre-LN, smaller weights and norms with one scalar let a Transformer train without tears."""

import pandas as pd

from normexp.studies.declare import Drawn, Values, claim, figure
from normexp.studies.rows import GEOMETRIC, LOSS, NATS, loss_curves
from normexp.studies.statistics import loss_gap, per_seed, trained
from normexp.studies.study import Study
from normexp.views.grid import where

SPIKE, WINDOW = 5, 21  # a spike: so many times the running median over so many steps


class Nguyen2019(Study):
    citation = "Nguyen & Salazar 2019"
    title = "Transformers without Tears"

    @figure(
        "figure 2",
        title="Gradient norm of every step",
        x="step",
        label="gradient norm",
        log="y",
        caption=f"Norm of the whole gradient, before clipping. {GEOMETRIC}",
    )
    def gradient_trace(self) -> Drawn:
        return self._trace()

    @figure("table 5", title="Training loss without warm-up", x="step", column="depth", label=NATS, caption=LOSS)
    def without_warmup(self) -> Drawn:
        return loss_curves(self.runs["cold"])

    @figure(
        "table 2",
        title="Training loss at 18 layers under two initialisations",
        x="step",
        column="init",
        label=NATS,
        caption=LOSS,
    )
    def init(self) -> Drawn:
        return loss_curves(self.runs["init"])

    @claim("table 5", "share of the runs of 4 to 6 layers without warm-up that are trained", kind="share", at_least=1,
           source="figure")  # fmt: skip
    def pre_cold(self) -> Values:
        """Pre-LN of 4 to 6 layers trains without warm-up."""
        rows = where(self.runs["cold"].frame, variant="pre_ln")
        return per_seed(rows, lambda seed: float((seed["outcome"] == "trained").mean()))

    @claim("table 5", "share of the runs of 6 layers without warm-up that are trained", kind="share", at_most=0,
           source="figure")  # fmt: skip
    def post_cold(self) -> Values:
        """Post-LN of 6 layers does not train without warm-up."""
        return trained(self.runs["cold"].frame, variant="post_ln", depth=6)

    @claim("table 5 (18.3 BLEU, then failure)", f"final loss: 6 − 4 layers, {NATS}", kind="difference", at_least=0.1,
           source="convention")  # fmt: skip
    def post_cold_deeper(self) -> Values:
        """Post-LN without warm-up ends at a higher loss with 6 layers than with 4."""
        six, four = ({"variant": "post_ln", "depth": depth} for depth in (6, 4))
        return loss_gap(self.runs["cold"].frame, six, four)

    @claim("table 2", "share of the runs of 18 layers that are trained: SmallInit − Xavier", kind="share", at_least=1,
           source="figure")  # fmt: skip
    def small_saves(self) -> Values:
        """Post-LN trains with SmallInit's smaller attention weights where it does not with Xavier's."""
        frame = self.runs["init"].frame
        small, xavier = (trained(frame, variant="post_ln", init=init) for init in ("small", "xavier_normal"))
        return [a - b for a, b in zip(small, xavier, strict=True)]

    @claim("table 2", f"final loss at 18 layers: SmallInit − Xavier, {NATS}", kind="equivalence", within=(-0.05, 0.05),
           source="convention")  # fmt: skip
    def pre_indifferent(self) -> Values:
        """Pre-LN trains as well with SmallInit's weights as with Xavier's."""
        small, xavier = ({"variant": "pre_ln", "init": init} for init in ("small", "xavier_normal"))
        return loss_gap(self.runs["init"].frame, small, xavier)

    @claim("table 3", f"final loss: with − without FixNorm, {NATS}", kind="difference", at_most=0, source="figure")
    def fix_norm(self) -> Values:
        """Pre-LN reaches a loss no higher with word vectors of fixed length (FixNorm) than without."""
        return self._against_layer_norm("layer_norm")

    @claim("table 3", f"final loss: ScaleNorm with FixNorm − LayerNorm, {NATS}", kind="difference", at_most=0,
           source="figure")  # fmt: skip
    def scale_norm(self) -> Values:
        """Pre-LN reaches a loss no higher with ScaleNorm and FixNorm than with LayerNorm."""
        return self._against_layer_norm("scale_norm")

    @claim("figure 2", f"steps above {SPIKE} times the running median of {WINDOW} steps: Post-LN − Pre-LN",
           kind="difference", at_least=1, source="convention")  # fmt: skip
    def post_spikes(self) -> Values:
        """Post-LN's gradient norm has more spikes than Pre-LN's."""
        post, pre = (per_seed(self._trace(variant), spikes) for variant in ("post_ln", "pre_ln"))
        return [a - b for a, b in zip(post, pre, strict=True)]

    @claim("figure 2", "median over all steps: Pre-LN / Post-LN", kind="ratio", at_most=1, source="figure")
    def pre_smaller(self) -> Values:
        """Pre-LN's gradient norm is smaller than Post-LN's."""
        pre, post = (
            per_seed(self._trace(variant), lambda seed: float(seed["value"].median()))
            for variant in ("pre_ln", "post_ln")
        )
        return [a / b for a, b in zip(pre, post, strict=True)]

    def _trace(self, variant: str = "") -> pd.DataFrame:
        rows = self.runs["trace"].curves("grad_norm", split="train")
        return where(rows, variant=variant) if variant else rows

    def _against_layer_norm(self, norm: str) -> list[float]:
        """Final loss of Pre-LN with FixNorm and this norm − that with LayerNorm and without FixNorm."""
        fixed = {"variant": "pre_ln", "norm": norm, "model.fix_norm": True}
        return loss_gap(
            self.runs["norm"].frame, fixed, {"variant": "pre_ln", "norm": "layer_norm", "model.fix_norm": False}
        )


def spikes(rows: pd.DataFrame) -> float:
    """Steps whose value is more than SPIKE times the running median."""
    values = rows.sort_values("step")["value"]
    return float((values > SPIKE * values.rolling(WINDOW, center=True, min_periods=1).median()).sum())
