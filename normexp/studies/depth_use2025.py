"""Which layers of a trained stack are used: what leaving one out, or exchanging two, does to the loss and to others."""

from collections.abc import Generator, Mapping
from typing import Any

import pandas as pd

from normexp.studies.control import Control
from normexp.studies.declare import Drawn, Values, claim, figure
from normexp.studies.statistics import paired, per_seed
from normexp.studies.study import Part, Runs, Study, at_own_rates, best_lr
from normexp.studies.windows import at_least, at_most
from normexp.views.grid import where
from normexp.views.heat_map import heat_map

# The best rates at 12 layers on the map of twelve variants, for those that the part `rates` does not search.
RATES = {"post_ln": 3.75e-4, "pre_ln": 1.2e-2, "deep_norm": 7.5e-4, "layer_norm_scaling": 1.2e-2}
RISE = "share of the second half of the layers in the summed rise of the loss when one is left out"
LINES: Mapping[str, Any] = {"x": "layer", "label": "rise of the loss (nats per token)"}
LEARNED = "No run of either is stuck or diverged."


class DepthUse2025(Control, Study):
    paper = "csordas2025"

    def plan(self) -> Generator[Part, Runs, None]:
        """First the rates; then the runs, one sweep per rate."""
        yield self.parts["control"]
        chosen = RATES | best_lr((yield self.parts["rates"]).frame)
        yield from at_own_rates(self.parts["runs"], chosen)

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
        rows = self._rows("skip_map")
        return rows.assign(skipped=rows["parameter"].str.rpartition(".")[2].astype(int))

    @figure(
        "effect of skipping a layer on the output",
        title="Loss when a layer is left out",
        **LINES,
        caption="Rise of the loss over the whole model's, after training.",
    )
    def skip_rise(self) -> Drawn:
        return self._rows("skip_rise")

    @figure(
        title="Loss when a layer and the next exchange their weights",
        own=True,
        **LINES,
        caption="Rise of the loss over the whole model's, after training, at the lower of the two layers.",
    )
    def swap_rise(self) -> Drawn:
        return self._rows("swap_rise")

    @figure(
        "relative contribution",
        title="Size of what a layer adds",
        x="layer",
        label="change over stream",
        log="y",
        caption="Mean norm of a layer's change of the stream over that of the stream before it, after training.",
    )
    def layer_change(self) -> Drawn:
        return self._rows("layer_change")

    @claim("effect of skipping a layer on the output", f"{RISE}, Pre-LN", at_most(0.5, "level", "figure"))
    def pre_output(self) -> Values:
        """Leaving out a layer of the second half of a Pre-LN stack costs less than leaving out one of the first."""
        return list(self._second_half("skip_rise", "pre_ln"))

    @claim(
        "effect of skipping a layer on later ones",
        "mean change of later layers when one of the second half is left out, over the same of the first half, Pre-LN",
        at_most(1, "ratio", "figure"),
    )
    def pre_later_layers(self) -> Values:
        """Leaving out a layer of the second half of a Pre-LN stack changes what later layers do by less."""
        return self._halves("skip_effect", "pre_ln")

    @claim(
        "relative contribution",
        "mean change of the stream by a layer of the second half, over the same of the first half, Pre-LN",
        at_most(1, "ratio", "figure"),
    )
    def pre_adds_less(self) -> Values:
        """The layers of the second half of a Pre-LN stack add less to the stream, relative to its size."""
        return self._halves("layer_change", "pre_ln")

    @claim(
        "permuted layers",
        "share of the second half of the layers in the summed rise of the loss when two neighbours are exchanged, "
        "Pre-LN",
        at_most(0.5, "level", "convention"),
        own=True,
    )
    def pre_order(self) -> Values:
        """Exchanging two neighbours in the second half of a Pre-LN stack costs less than in the first half."""
        return list(self._second_half("swap_rise", "pre_ln"))

    @claim("Sun et al. 2025", f"{RISE}: LayerNorm scaling − Pre-LN", at_least(0, "difference", "theory"))
    def scaling_uses_more(self) -> Values:
        """LayerNorm scaling uses its deeper layers more than Pre-LN does."""
        return self._more_than_pre("layer_norm_scaling")

    @claim("Li et al. 2024", f"{RISE}: Post-LN − Pre-LN", at_least(0, "difference", "theory"))
    def post_uses_more(self) -> Values:
        """Post-LN uses its deeper layers more than Pre-LN does."""
        return self._more_than_pre("post_ln")

    @claim("", f"{RISE}: DeepNorm − Pre-LN", at_least(0, "difference", "convention"), own=True)
    def deep_norm_uses_more(self) -> Values:
        """DeepNorm uses its deeper layers more than Pre-LN does."""
        return self._more_than_pre("deep_norm")

    @claim("", f"{RISE}: attention residuals − Pre-LN", at_least(0, "difference", "convention"), own=True)
    def attention_residuals_use_more(self) -> Values:
        """Attention residuals use their deeper layers more than Pre-LN does."""
        return self._more_than_pre("attention_residuals")

    def _parts(self) -> list[Runs]:
        return [self.runs[name] for name in self.runs if name.startswith("runs")]

    def _rows(self, statistic: str) -> pd.DataFrame:
        """Of every layer of every run, after the last step."""
        rows = pd.concat([runs.layers(statistic) for runs in self._parts()])
        return rows[rows["step"] == rows["steps"]]

    def _second_half(self, statistic: str, variant: str) -> pd.Series:
        """The share of the second half of the layers in the sum over all, by seed."""
        rows = where(self._rows(statistic), variant=variant)
        second = rows[rows["layer"] > rows["depth"] / 2]
        return second.groupby("seed")["value"].sum() / rows.groupby("seed")["value"].sum()

    def _halves(self, statistic: str, variant: str) -> list[float]:
        """The mean over the second half of the layers, over that of the first."""

        def ratio(seed: pd.DataFrame) -> float:
            means = seed.groupby(seed["layer"] > seed["depth"] / 2)["value"].mean()
            return float(means[True] / means[False])

        return per_seed(where(self._rows(statistic), variant=variant), ratio)

    def _more_than_pre(self, variant: str) -> list[float]:
        frame = pd.concat([runs.frame for runs in self._parts()])
        both = frame[frame["variant"].isin((variant, "pre_ln"))]
        self.needs(LEARNED, bool(both["outcome"].isin(("trained", "partial")).all()))
        return paired(self._second_half("skip_rise", variant), self._second_half("skip_rise", "pre_ln"))
