"""Which layers of a trained stack are used: what leaving one out, or exchanging two, does to the loss and to others."""

from collections.abc import Mapping
from typing import Any, ClassVar

from normexp.studies.control import Control
from normexp.studies.declare import Drawn, Values, claim, figure
from normexp.studies.tuned import RISE, Tuned, halves, share_of_second_half
from normexp.studies.windows import at_least, at_most
from normexp.views.heat_map import heat_map

LINES: Mapping[str, Any] = {
    **{"x": "layer", "label": "rise of the loss (nats per token)"},
    **{"log": "y", "floor": (1e-3, "0.001 nats")},
}


class DepthUse2025(Control, Tuned):
    paper = "csordas2025"
    # The best rates at 12 layers on the map of twelve variants.
    rates: ClassVar[Mapping[str, float]] = {
        **{"post_ln": 3.75e-4, "pre_ln": 1.2e-2, "deep_norm": 7.5e-4, "layer_norm_scaling": 1.2e-2}
    }

    @figure(
        "effect of skipping a layer on later ones",
        title="What later layers do when a layer is left out",
        draw=heat_map,
        x="skipped",
        y="layer",
        label="relative change",
        x_label="layer left out",
        y_label="layer",
        caption="Mean change of what a layer adds to the stream when a layer below is left out, over the mean of what "
        "it adds; after training, mean over the seeds.",
    )
    def skip_map(self) -> Drawn:
        rows = self.trained("skip_map")
        return rows.assign(skipped=rows["parameter"].str.rpartition(".")[2].astype(int))

    @figure(
        "effect of skipping a layer on the output",
        title="Loss when a layer is left out",
        **LINES,
        caption="Rise of the loss over the whole model's, after training.",
    )
    def skip_rise(self) -> Drawn:
        return self.trained("skip_rise")

    @figure(
        title="Loss when a layer and the next exchange their weights",
        own=True,
        **LINES,
        caption="Rise of the loss over the whole model's, after training, at the lower of the two layers.",
    )
    def swap_rise(self) -> Drawn:
        return self.trained("swap_rise")

    @figure(
        "relative contribution",
        title="Size of what a layer adds",
        x="layer",
        label="change over stream",
        log="y",
        caption="Mean norm of a layer's change of the stream over that of the stream before it, after training.",
    )
    def layer_change(self) -> Drawn:
        return self.trained("layer_change")

    @claim("effect of skipping a layer on the output", f"{RISE}, Pre-LN", at_most(0.5, "level", "figure"))
    def pre_output(self) -> Values:
        """Leaving out a layer of the second half of a Pre-LN stack costs less than leaving out one of the first."""
        return list(share_of_second_half(self.trained("skip_rise", "pre_ln")))

    @claim(
        "effect of skipping a layer on later ones",
        "mean change of later layers when one of the second half is left out, over the same of the first half, Pre-LN",
        at_most(1, "ratio", "figure"),
    )
    def pre_later_layers(self) -> Values:
        """Leaving out a layer of the second half of a Pre-LN stack changes what later layers do by less."""
        return halves(self.trained("skip_effect", "pre_ln"))

    @claim(
        "relative contribution",
        "mean change of the stream by a layer of the second half, over the same of the first half, Pre-LN",
        at_most(1, "ratio", "figure"),
    )
    def pre_adds_less(self) -> Values:
        """The layers of the second half of a Pre-LN stack add less to the stream, relative to its size."""
        return halves(self.trained("layer_change", "pre_ln"))

    @claim(
        "permuted layers",
        "share of the second half of the layers in the summed rise of the loss when two neighbours are exchanged, "
        "Pre-LN",
        at_most(0.5, "level", "convention"),
        own=True,
    )
    def pre_order(self) -> Values:
        """Exchanging two neighbours in the second half of a Pre-LN stack costs less than in the first half."""
        return list(share_of_second_half(self.trained("swap_rise", "pre_ln")))

    @claim("Sun et al. 2025", f"{RISE}: LayerNorm scaling − Pre-LN", at_least(0, "difference", "theory"))
    def scaling_uses_more(self) -> Values:
        """LayerNorm scaling uses its deeper layers more than Pre-LN does."""
        return self.more_than_pre("layer_norm_scaling")

    @claim("Li et al. 2024", f"{RISE}: Post-LN − Pre-LN", at_least(0, "difference", "theory"))
    def post_uses_more(self) -> Values:
        """Post-LN uses its deeper layers more than Pre-LN does."""
        return self.more_than_pre("post_ln")

    @claim("", f"{RISE}: DeepNorm − Pre-LN", at_least(0, "difference", "convention"), own=True)
    def deep_norm_uses_more(self) -> Values:
        """DeepNorm uses its deeper layers more than Pre-LN does."""
        return self.more_than_pre("deep_norm")

    @claim("", f"{RISE}: attention residuals − Pre-LN", at_least(0, "difference", "convention"), own=True)
    def attention_residuals_use_more(self) -> Values:
        """Attention residuals use their deeper layers more than Pre-LN does."""
        return self.more_than_pre("attention_residuals")
