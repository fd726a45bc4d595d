"""Attention alone makes all tokens alike, doubly exponentially with depth; skips prevent it."""

import numpy as np
import pandas as pd

from normexp.studies.declare import Drawn, Values, claim, figure
from normexp.studies.statistics import per_seed, values_by_seed
from normexp.studies.study import Runs, Study
from normexp.studies.windows import at_least, at_most, within
from normexp.views.grid import where

FLOOR = 1e-13  # smaller residuals are rounding errors of float64
COLLAPSE = "theorems and figure of rank collapse"
DROPS = "ratio of successive drops of log residual from layer to layer, geometric mean"
ACCELERATION = "drop of log₁₀ residual over layers 7 to 12 − over layers 1 to 6"
TWICE = 0.3  # a factor of two, in log₁₀


class Dong2021(Study):
    paper = "dong2021"

    @figure(
        "figure of rank collapse",
        title="Distance from a stream whose tokens are all alike",
        x="layer",
        column="part",
        label="relative residual",
        log="y",
        floor=(FLOOR, "rounding errors"),
        caption="‖X − 1x̄ᵀ‖ / ‖X‖ of the stream, in float64, whose rounding errors are about 1e-13, at initialisation. "
        "0 is the embedding. Grey: the cubic rate from r₁, the residual of attention alone after the first layer.",
    )
    def rank_collapse(self) -> Drawn:
        parts = {"attention alone": "attention", "whole layers": "whole"}
        rows = pd.concat([residual(self.runs[part]).assign(part=name) for name, part in parts.items()])
        start = float(np.exp(np.log(self._residual("attention", 1, "plain")).mean()))

        def cubic(layer: np.ndarray) -> np.ndarray:
            rate = start ** (3.0 ** (layer - 1))
            return np.where((layer >= 1) & (rate > FLOOR), rate, np.nan)

        return rows, {"lines": {"r₁^(3^(l − 1))": cubic}}

    @figure(
        title="How alike the tokens of a text become",
        own=True,
        x="layer",
        label="cosine of two tokens",
        caption="Mean cosine of two tokens of a text, at initialisation; 0 is the embedding.",
    )
    def token_cosine(self) -> Drawn:
        return by_layer(self.runs["whole"], "token_cosine")

    @claim(COLLAPSE, DROPS, within(2.5, 3.5, "ratio", "theory"))
    def attention_collapse(self) -> Values:
        """Attention alone loses rank at a cubic rate with depth."""
        return per_seed(where(residual(self.runs["attention"]), variant="plain"), drop_ratio)

    @claim(COLLAPSE, DROPS, within(2.5, 3.5, "ratio", "theory"))
    def norms_collapse(self) -> Values:
        """Attention with norms loses rank at a cubic rate with depth."""
        return per_seed(where(residual(self.runs["attention"]), variant="no_residual"), drop_ratio)

    @claim(COLLAPSE, DROPS, within(2.5, 3.5, "ratio", "theory"))
    def layers_collapse(self) -> Values:
        """Whole layers without skips lose rank at a cubic rate with depth."""
        return per_seed(where(residual(self.runs["whole"]), variant="no_residual"), drop_ratio)

    @claim("figure of rank collapse", "relative residual at layer 4", at_most(1e-6, "level", "figure"))
    def gone_by_4(self) -> Values:
        """Four layers of attention alone leave nothing of the rank."""
        return self._residual("attention", 4, "plain")

    @claim(
        "section 3.2",
        "log₁₀ of the residual at layer 3: with − without feed-forwards",
        at_least(0, "difference", "theory"),
    )
    def feed_forward_slows(self) -> Values:
        """Feed-forwards slow down the rank collapse of attention."""
        whole, alone = (self._residual(part, 3, "plain") for part in ("whole", "attention"))
        return [float(np.log10(a) - np.log10(b)) for a, b in zip(whole, alone, strict=True)]

    @claim("section 3.1", ACCELERATION, at_most(TWICE, "difference", "convention"))
    def skip_keeps(self) -> Values:
        """Attention with skips loses rank no faster than geometrically, even without feed-forwards and norms."""
        return self._acceleration("attention", "no_norm")

    @claim("figure of rank collapse", ACCELERATION, at_most(TWICE, "difference", "convention"))
    def pre_keeps(self) -> Values:
        """A whole Pre-LN stack loses rank no faster than geometrically."""
        return self._acceleration("whole", "pre_ln")

    @claim("figure of rank collapse", ACCELERATION, at_most(TWICE, "difference", "convention"), exploratory=True)
    def post_keeps(self) -> Values:
        """A whole Post-LN stack loses rank no faster than geometrically."""
        return self._acceleration("whole", "post_ln")

    @claim("", "mean cosine of two tokens: layer 12 − embedding", at_least(0.1, "difference", "convention"), own=True)
    def post_alike(self) -> Values:
        """Post-LN makes tokens more alike with depth although it has skips."""
        rows = where(by_layer(self.runs["whole"], "token_cosine"), variant="post_ln")
        return list(values_by_seed(rows, layer=12) - values_by_seed(rows, layer=0))

    def _residual(self, part: str, layer: int, variant: str) -> list[float]:
        return list(values_by_seed(residual(self.runs[part]), layer=layer, variant=variant))

    def _acceleration(self, part: str, variant: str) -> list[float]:
        start, half, end = (np.log10(self._residual(part, layer, variant)) for layer in (0, 6, 12))
        return list((half - end) - (start - half))


def by_layer(runs: Runs, statistic: str) -> pd.DataFrame:
    """A statistic of the stream after every layer, that is after its last sub-layer; layer 0 is the embedding."""
    rows = runs.layers(statistic, stack="encoder")
    last = "feed_forward" if (rows["site"] == "feed_forward").any() else "attention"
    return rows[(rows["layer"] == 0) | (rows["site"] == last)]


def residual(runs: Runs) -> pd.DataFrame:
    """The relative residual after every layer."""
    return by_layer(runs, "rank_residual")


def drop_ratio(seed: pd.DataFrame) -> float:
    """By which factor the drop of the logarithm grows from layer to layer, above the rounding errors of float64.

    1 is geometric decay, 3 the cubic rate of the theorem; NaN for fewer than two drops.
    """
    values = seed.sort_values("layer")["value"].to_numpy()
    drops = -np.diff(np.log10(values[values > FLOOR]))
    return float((drops[-1] / drops[0]) ** (1 / (len(drops) - 1))) if len(drops) > 1 else float("nan")
