"""Attention alone makes all tokens alike, doubly exponentially with depth; skips prevent it."""

import numpy as np
import pandas as pd

from normexp.studies.declare import Drawn, Values, claim, figure
from normexp.studies.rows import GEOMETRIC, MEANS
from normexp.studies.statistics import per_seed, values_by_seed
from normexp.studies.study import Runs, Study
from normexp.views.grid import where

FLOOR = 1e-13  # smaller residuals are rounding errors of float64
COLLAPSE = "theorems and figure of rank collapse"
DROPS = "smallest growth of the drop of log₁₀ residual from layer to layer"


class Dong2021(Study):
    citation = "Dong et al. 2021"
    title = "Attention is not all you need"

    @figure(
        "figure of rank collapse",
        title="Distance from a stream whose tokens are all alike",
        x="layer",
        column="stack",
        label="relative residual",
        log="y",
        caption="‖X − 1x̄ᵀ‖ / ‖X‖ of the stream, in float64, at initialisation; values below 1e-13 are left out. 0 is "
        f"the embedding. {GEOMETRIC}",
    )
    def rank_collapse(self) -> Drawn:
        parts = {"attention alone": "attention", "whole layers": "whole"}
        rows = pd.concat([residual(self.runs[part]).assign(stack=name) for name, part in parts.items()])
        return rows[rows["value"] > FLOOR]

    @figure(
        title="How alike the tokens of a text become",
        own=True,
        x="layer",
        label="cosine",
        caption="Mean cosine of two tokens of a text, at initialisation; 0 is the embedding. Post-LN collapses too, "
        f"only later. {MEANS}",
    )
    def token_cosine(self) -> Drawn:
        return by_layer(self.runs["whole"], "token_cosine")

    @claim(COLLAPSE, DROPS, kind="exponent", at_least=0, source="theory")
    def attention_collapse(self) -> Values:
        """Attention alone loses rank faster than geometrically with depth."""
        return per_seed(where(residual(self.runs["attention"]), variant="plain"), drop_growth)

    @claim(COLLAPSE, DROPS, kind="exponent", at_least=0, source="theory")
    def norms_collapse(self) -> Values:
        """Attention with norms loses rank faster than geometrically with depth."""
        return per_seed(where(residual(self.runs["attention"]), variant="no_residual"), drop_growth)

    @claim(COLLAPSE, DROPS, kind="exponent", at_least=0, source="theory")
    def layers_collapse(self) -> Values:
        """Whole layers without skips lose rank faster than geometrically with depth."""
        return per_seed(where(residual(self.runs["whole"]), variant="no_residual"), drop_growth)

    @claim("figure of rank collapse", "relative residual at layer 4", kind="level", at_most=1e-6, source="figure")
    def gone_by_4(self) -> Values:
        """Four layers of attention alone leave nothing of the rank."""
        return self._residual("attention", 4, "plain")

    @claim("section 3.2", "log₁₀ of the residual at layer 3: with − without feed-forwards", kind="difference",
           at_least=0, source="theory")  # fmt: skip
    def feed_forward_slows(self) -> Values:
        """Feed-forwards slow down the rank collapse of attention."""
        whole, alone = (self._residual(part, 3, "plain") for part in ("whole", "attention"))
        return [float(np.log10(a) - np.log10(b)) for a, b in zip(whole, alone, strict=True)]

    @claim("section 3.1", "relative residual at layer 12, attention alone", kind="level", at_least=1e-2, source="pilot")
    def skip_keeps(self) -> Values:
        """Attention with skips keeps its rank even without feed-forwards and norms."""
        return self._residual("attention", 12, "no_norm")

    @claim("figure of rank collapse", "relative residual at layer 12", kind="level", at_least=0.2, source="pilot")
    def pre_keeps(self) -> Values:
        """A whole Pre-LN stack keeps most of its rank."""
        return self._residual("whole", 12, "pre_ln")

    @claim("figure of rank collapse", "relative residual at layer 12", kind="level", at_least=1e-2, source="pilot")
    def post_keeps(self) -> Values:
        """A whole Post-LN stack keeps some of its rank."""
        return self._residual("whole", 12, "post_ln")

    @claim("", "mean cosine of two tokens: layer 12 − embedding", kind="difference", at_least=0.1, source="convention",
           own=True)  # fmt: skip
    def post_alike(self) -> Values:
        """Post-LN makes tokens more alike with depth although it has skips."""
        rows = where(by_layer(self.runs["whole"], "token_cosine"), variant="post_ln")
        return list(values_by_seed(rows, layer=12) - values_by_seed(rows, layer=0))

    def _residual(self, part: str, layer: int, variant: str) -> list[float]:
        return list(values_by_seed(residual(self.runs[part]), layer=layer, variant=variant))


def by_layer(runs: Runs, statistic: str) -> pd.DataFrame:
    """A statistic of the stream after every layer, that is after its last sub-layer; layer 0 is the embedding."""
    rows = runs.layers(statistic, stack="encoder")
    last = "feed_forward" if (rows["site"] == "feed_forward").any() else "attention"
    return rows[(rows["layer"] == 0) | (rows["site"] == last)]


def residual(runs: Runs) -> pd.DataFrame:
    """The relative residual after every layer."""
    return by_layer(runs, "rank_residual")


def drop_growth(seed: pd.DataFrame) -> float:
    """Smallest growth of the drop of the logarithm from one layer to the next, above the rounding errors of float64.

    Above 0 the decay is faster than geometric over the whole range; NaN for fewer than two drops.
    """
    values = seed.sort_values("layer")["value"].to_numpy()
    logs = np.log10(values[values > FLOOR])
    growth = np.diff(-np.diff(logs))
    return float(growth.min()) if len(growth) else float("nan")
