"""Pre-LN, smaller weights and norms with one scalar let a Transformer train without tears."""

import pandas as pd

from normexp.studies.claim import Untested
from normexp.studies.control import Control
from normexp.studies.declare import Drawn, Values, claim, figure
from normexp.studies.rows import LOSS_BY_STEP, REDUCIBLE, drawn_losses
from normexp.studies.statistics import per_seed, relative_gap, steps_to, trained, trained_where
from normexp.studies.study import Study
from normexp.studies.windows import FEW, HIGHER_LOSS, MOST, NO_HIGHER_LOSS, SAME_LOSS, at_most
from normexp.views.grid import where

INITS = ("small", "xavier_normal")
AROUND = 10  # steps before and after the one at which a loss is reached


class Nguyen2019(Control, Study):
    paper = "nguyen2019"

    @figure(
        "figure 2",
        title="Gradient norm of every step",
        x="step",
        label="gradient norm",
        log="y",
        mean=False,  # it would hide the spikes
        caption="Norm of the whole gradient, before clipping.",
    )
    def gradient_trace(self) -> Drawn:
        return self._trace()

    @figure("table 5", title="Training loss without warm-up", column="depth", **LOSS_BY_STEP)
    def without_warmup(self) -> Drawn:
        return drawn_losses(self.runs["cold"])

    @figure("table 2", title="Training loss under two initialisations", column="init", **LOSS_BY_STEP)
    def init(self) -> Drawn:
        return drawn_losses(self.runs["init"])

    @claim("table 5", "share of the seeds at which 4 and 6 layers without warm-up are both trained", MOST)
    def pre_cold(self) -> Values:
        """Pre-LN of 4 to 6 layers trains without warm-up."""
        rows = where(self.runs["cold"].frame, variant="pre_ln")
        return per_seed(rows, lambda seed: float((seed["outcome"] == "trained").all()))

    @claim("table 5", "share of the runs of 6 layers without warm-up that are trained", FEW)
    def post_cold(self) -> Values:
        """Post-LN of 6 layers does not train without warm-up."""
        return trained(self.runs["cold"].frame, variant="post_ln", depth=6)

    @claim("table 5 (18.3 BLEU, then failure)", f"final loss: 6 − 4 layers, {REDUCIBLE}", HIGHER_LOSS)
    def post_cold_deeper(self) -> Values:
        """Post-LN without warm-up ends at a higher loss with 6 layers than with 4."""
        six, four = ({"variant": "post_ln", "depth": depth} for depth in (6, 4))
        return relative_gap(self.runs["cold"].frame, six, four)

    @claim("table 2", "share of the seeds of 12 layers at which SmallInit is trained and Xavier is not", MOST)
    def small_saves(self) -> Values:
        """Post-LN trains with SmallInit's smaller attention weights where it does not with Xavier's."""
        frame, arms = self.runs["init"].frame, [{"variant": "post_ln", "init": init} for init in INITS]
        xavier = trained(frame, **arms[1])
        self.needs("Post-LN with Xavier's weights is not trained on most seeds.", sum(xavier) < len(xavier) / 2)
        return trained_where(frame, *arms)

    @claim("table 2", f"final loss at 12 layers: SmallInit − Xavier, {REDUCIBLE}", SAME_LOSS)
    def pre_indifferent(self) -> Values:
        """Pre-LN trains as well with SmallInit's weights as with Xavier's."""
        frame = self.runs["init"].frame
        if not (frame["variant"] == "pre_ln").any():
            raise Untested("Pre-LN under two initialisations is in the full size only.")
        return relative_gap(frame, *({"variant": "pre_ln", "init": init} for init in INITS))

    @claim("table 3", f"final loss: with − without FixNorm, {REDUCIBLE}", NO_HIGHER_LOSS)
    def fix_norm(self) -> Values:
        """Pre-LN reaches a loss no higher with word vectors of fixed length (FixNorm) than without."""
        return self._against_layer_norm("layer_norm")

    @claim("table 3", f"final loss: ScaleNorm with FixNorm − LayerNorm, {REDUCIBLE}", NO_HIGHER_LOSS)
    def scale_norm(self) -> Values:
        """Pre-LN reaches a loss no higher with ScaleNorm and FixNorm than with LayerNorm."""
        return self._against_layer_norm("scale_norm")

    @claim(
        "figure 2",
        "median gradient norm around the step at which the source-blind loss is reached: Pre-LN / Post-LN",
        at_most(1, "ratio", "figure"),
    )
    def pre_smaller(self) -> Values:
        """Pre-LN's gradient norm is smaller than Post-LN's at the same loss."""
        frame = self.runs["trace"].frame
        level = float(frame["baseline.blind"].iloc[0])
        self.needs("every run reaches the source-blind loss.", bool((frame["final_loss"].astype(float) <= level).all()))
        losses = self.runs["trace"].curves("nll", split="train")

        def at_level(variant: str) -> pd.Series:
            medians = {}
            for seed, trace in self._trace(variant).groupby("seed"):
                step = steps_to(where(losses, variant=variant, seed=seed), level)
                near = trace.loc[(trace["step"] - step).abs() <= AROUND, "value"]
                medians[seed] = near.median()
            return pd.Series(medians)

        return list(at_level("pre_ln") / at_level("post_ln"))

    def _trace(self, variant: str = "") -> pd.DataFrame:
        rows = self.runs["trace"].curves("grad_norm", split="train")
        return where(rows, variant=variant) if variant else rows

    def _against_layer_norm(self, norm: str) -> list[float]:
        """Final loss of Pre-LN with FixNorm and this norm − that with LayerNorm and without FixNorm."""
        frame, keys = self.runs["norm"].frame, {"variant": "pre_ln"}
        arms = keys | {"norm": norm, "model.fix_norm": True}, keys | {"norm": "layer_norm", "model.fix_norm": False}
        return self.ordering(frame, *arms)
