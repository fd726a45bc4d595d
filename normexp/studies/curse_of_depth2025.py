"""The stream of Pre-LN grows with depth, so that deep layers turn it little; what three remedies do about that."""

from collections.abc import Mapping
from typing import ClassVar

import pandas as pd

from normexp.studies.control import Control
from normexp.studies.declare import Drawn, Values, claim, figure
from normexp.studies.statistics import fits, linear_over_exponential
from normexp.studies.tuned import RISE, Tuned, halves
from normexp.studies.windows import at_least, at_most
from normexp.views.grid import where

VARIANCE = "figure of the variance by layer"
ANGLES = "figure of angular distances"
GROWTH = "variance of the stream after the last layer, over that after the first, after training"
TURNS = "mean angle by which a layer of the second half turns the stream, over the same of the first half"


class CurseOfDepth2025(Control, Tuned):
    paper = "sun2025"
    # The best rates at 12 layers on the map of twelve variants, where Peri-LN is not.
    rates: ClassVar[Mapping[str, float]] = {"pre_ln": 1.2e-2, "layer_norm_scaling": 1.2e-2, "mix_ln": 3e-3}

    @figure(
        VARIANCE,
        title="Variance of the stream by layer",
        x="layer",
        column="moment",
        label="‖x‖²/width",
        log="y",
        caption="Mean squared norm over width of the stream after every layer.",
    )
    def variance(self) -> Drawn:
        return self.moments("stream_norm", site="feed_forward")

    @figure(
        ANGLES,
        title="How far a layer turns the stream",
        x="layer",
        label="angle / π",
        caption="Mean angle between the stream before and after a layer, over π, after training.",
    )
    def angles(self) -> Drawn:
        return self.trained("angular_distance")

    @figure(
        "figure of the loss without a layer",
        title="Loss when a layer is left out",
        x="layer",
        label="rise of the loss (nats per token)",
        log="y",
        floor=(1e-3, "0.001 nats"),
        caption="Rise of the loss over the whole model's, after training.",
    )
    def skip_rise(self) -> Drawn:
        return self.trained("skip_rise")

    @claim(
        "theorem on the variance of Pre-LN",
        "R² of a line through the variance over the layers − R² of an exponential, Pre-LN, at the start",
        at_least(0, "difference", "theory"),
        own=True,
    )
    def pre_starts_linear(self) -> Values:
        """At initialisation, the variance of a Pre-LN stream grows linearly with the layer, not exponentially."""
        return self._linear(trained=False)

    @claim(
        VARIANCE,
        "R² of a line through the variance over the layers − R² of an exponential, Pre-LN, after training",
        at_most(0, "difference", "figure"),
    )
    def pre_ends_exponential(self) -> Values:
        """After training, the variance of a Pre-LN stream grows exponentially with the layer."""
        return self._linear(trained=True)

    @claim(VARIANCE, f"{GROWTH}: Pre-LN / LayerNorm scaling", at_least(1, "ratio", "figure"))
    def scaling_grows_less(self) -> Values:
        """LayerNorm scaling slows the growth of the stream's variance."""
        return list(self._growth("pre_ln") / self._growth("layer_norm_scaling"))

    @claim("Kim et al. 2025", f"{GROWTH}: Pre-LN / Peri-LN", at_least(1, "ratio", "theory"))
    def peri_grows_less(self) -> Values:
        """The variance of a Peri-LN stream grows less than that of Pre-LN."""
        return list(self._growth("pre_ln") / self._growth("peri_ln"))

    @claim(ANGLES, f"{TURNS}, Pre-LN", at_most(1, "ratio", "figure"))
    def pre_turns_less(self) -> Values:
        """The layers of the second half of a Pre-LN stack turn the stream less than those of the first."""
        return halves(self.trained("angular_distance", "pre_ln"))

    @claim(ANGLES, f"{TURNS}: LayerNorm scaling / Pre-LN", at_least(1, "ratio", "figure"))
    def scaling_turns_more(self) -> Values:
        """The second half of a stack with LayerNorm scaling turns the stream more, relative to its first half, than
        that of Pre-LN.
        """
        scaled, pre = (halves(self.trained("angular_distance", name)) for name in ("layer_norm_scaling", "pre_ln"))
        return [a / b for a, b in zip(scaled, pre, strict=True)]

    @claim("Li et al. 2024", f"{RISE}: Mix-LN − Pre-LN", at_least(0, "difference", "theory"))
    def mix_uses_more(self) -> Values:
        """Mix-LN uses its deeper layers more than Pre-LN does."""
        return self.more_than_pre("mix_ln")

    @claim("", f"{RISE}: Peri-LN − Pre-LN", at_least(0, "difference", "convention"), own=True)
    def peri_uses_more(self) -> Values:
        """Peri-LN uses its deeper layers more than Pre-LN does."""
        return self.more_than_pre("peri_ln")

    def _linear(self, trained: bool) -> list[float]:
        rows = where(self.measured("stream_norm", site="feed_forward"), variant="pre_ln")
        rows = rows[(rows["step"] == rows["steps"]) == trained]
        return fits(rows, linear_over_exponential, "layer")

    def _growth(self, variant: str) -> pd.Series:
        rows = self.trained("stream_norm", variant, site="feed_forward").set_index("seed")
        last, first = (rows[rows["layer"] == at]["value"] for at in (rows["layer"].max(), 1))
        return last / first
