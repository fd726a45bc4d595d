"""Where tokens are alike, queries and keys get no gradient; branches divided by √L keep tokens apart at any depth."""

import numpy as np
import pandas as pd

from normexp.studies.declare import Drawn, Values, claim, figure
from normexp.studies.dong2021 import by_layer
from normexp.studies.statistics import values_by_seed
from normexp.studies.study import Runs, Study
from normexp.studies.windows import at_least, at_most, within

LAST, DEPTHS = 12, (6, 24)  # layers of the stacks whose gradients are read; of those whose tokens are compared
PARTS = {"branches as they are": "", "branches / √L": "scaled_"}
GRADIENT_THEOREM = "theorem on gradients under rank collapse"
SCALING_THEOREM = "theorem on scaled branches"
TOKENS = "figure of the angle between tokens"
QUERIES = f"‖∂W_Q‖ / ‖∂W_V‖ in layer {LAST}"
COSINE = "mean cosine of two tokens after the last layer"
GROWTH = f"{COSINE}: {DEPTHS[1]} − {DEPTHS[0]} layers"
GONE, KEPT = 0.01, 0.1  # of the gradient of the values


class Noci2022(Study):
    paper = "noci2022"

    @figure(
        title="Gradient of the queries, relative to that of the values",
        own=True,
        x="layer",
        column="part",
        label="‖∂W_Q‖ / ‖∂W_V‖",
        log="y",
        caption="Frobenius norms of the loss gradient of the query and the value matrix of every layer, "
        "at initialisation.",
    )
    def query_gradients(self) -> Drawn:
        return pd.concat([ratios(self.runs[f"{key}gradients"]).assign(part=name) for name, key in PARTS.items()])

    @figure(
        TOKENS,
        title="How alike tokens are after the last layer",
        x="depth",
        column="part",
        label="cosine of two tokens",
        caption="Mean cosine of two tokens of a text in the stream after the last layer, at initialisation.",
    )
    def token_cosines(self) -> Drawn:
        return pd.concat([cosines(self.runs[f"{key}tokens"]).assign(part=name) for name, key in PARTS.items()])

    @claim(GRADIENT_THEOREM, QUERIES, at_most(GONE, "ratio", "theory"))
    def queries_vanish(self) -> Values:
        """In an encoder without skips, whose tokens become alike, the gradients of the queries vanish."""
        return list(at_last(ratios(self.runs["gradients"]), "no_residual"))

    @claim(GRADIENT_THEOREM, QUERIES.replace("W_Q", "W_K"), at_most(GONE, "ratio", "theory"))
    def keys_vanish(self) -> Values:
        """In an encoder without skips, whose tokens become alike, the gradients of the keys vanish."""
        return list(at_last(ratios(self.runs["gradients"], "key"), "no_residual"))

    @claim(
        GRADIENT_THEOREM,
        f"‖∂W_V‖ in layer {LAST}: without skips / Post-LN",
        at_least(KEPT, "ratio", "convention"),
    )
    def values_remain(self) -> Values:
        """In an encoder without skips, whose tokens become alike, the gradients of the values do not vanish."""
        values = gradients(self.runs["gradients"], "value")
        return list(at_last(values, "no_residual") / at_last(values, "post_ln"))

    @claim(SCALING_THEOREM, QUERIES, at_least(KEPT, "ratio", "theory"))
    def scaled_post_keeps(self) -> Values:
        """With branches divided by √L, a deep Post-LN stack has gradients at its queries."""
        return list(at_last(ratios(self.runs["scaled_gradients"]), "post_ln"))

    @claim(SCALING_THEOREM, QUERIES, at_least(KEPT, "ratio", "theory"))
    def scaled_pre_keeps(self) -> Values:
        """With branches divided by √L, a deep Pre-LN stack has gradients at its queries."""
        return list(at_last(ratios(self.runs["scaled_gradients"]), "pre_ln"))

    @claim(
        SCALING_THEOREM,
        f"log₁₀ of {QUERIES}: branches divided by √L − as they are",
        at_least(0, "difference", "theory"),
    )
    def scaling_helps_queries(self) -> Values:
        """Branches divided by √L give the queries of a deep Post-LN stack larger gradients."""
        one, other = (at_last(ratios(self.runs[f"{key}gradients"]), "post_ln") for key in ("scaled_", ""))
        return list(np.log10(one / other))

    @claim(TOKENS, GROWTH, at_least(0.1, "difference", "figure"))
    def post_aligns(self) -> Values:
        """Post-LN makes the tokens after the last layer more alike in a deeper stack."""
        return self._growth("tokens", "post_ln")

    @claim(SCALING_THEOREM, GROWTH, within(-0.1, 0.1, "equivalence", "theory"))
    def scaled_post_flat(self) -> Values:
        """With branches divided by √L, a deep Post-LN stack leaves its tokens as different as a shallow one."""
        return self._growth("scaled_tokens", "post_ln")

    @claim(SCALING_THEOREM, GROWTH, within(-0.1, 0.1, "equivalence", "theory"))
    def scaled_pre_flat(self) -> Values:
        """With branches divided by √L, a deep Pre-LN stack leaves its tokens as different as a shallow one."""
        return self._growth("scaled_tokens", "pre_ln")

    @claim(TOKENS, f"{COSINE} of {DEPTHS[1]}: branches divided by √L − as they are", at_most(0, "difference", "figure"))
    def scaling_keeps_tokens_apart(self) -> Values:
        """Branches divided by √L leave the tokens of a deep Post-LN stack less alike."""
        one, other = (
            values_by_seed(cosines(self.runs[f"{key}tokens"]), variant="post_ln", depth=DEPTHS[1])
            for key in ("scaled_", "")
        )
        return list(one - other)

    def _growth(self, part: str, variant: str) -> list[float]:
        shallow, deep = (values_by_seed(cosines(self.runs[part]), variant=variant, depth=depth) for depth in DEPTHS)
        return list(deep - shallow)


def gradients(runs: Runs, matrix: str) -> pd.DataFrame:
    """The gradient norm of the query, key or value matrix of every layer."""
    return runs.layers("grad_norm", stack="encoder", site="attention", parameter=f"{matrix}.weight")


def ratios(runs: Runs, matrix: str = "query") -> pd.DataFrame:
    """The gradient norm of this matrix over that of the values of the same layer."""
    place = ["folder", "layer"]
    rows, values = gradients(runs, matrix).set_index(place), gradients(runs, "value").set_index(place)
    return rows.assign(value=rows["value"] / values["value"]).reset_index()


def at_last(rows: pd.DataFrame, variant: str) -> pd.Series:
    """The value of every seed in the last layer."""
    return values_by_seed(rows, variant=variant, layer=LAST)


def cosines(runs: Runs) -> pd.DataFrame:
    """The cosine of two tokens after the last layer."""
    rows = by_layer(runs, "token_cosine")
    return rows[rows["layer"] == rows["depth"]]
