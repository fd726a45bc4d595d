"""192 layers whose signals neither grow nor vanish, forwards and backwards; what the usual placements do there."""

import numpy as np
import pandas as pd

from normexp.studies.declare import Drawn, Values, claim, figure
from normexp.studies.rows import stream_gradients
from normexp.studies.statistics import per_seed
from normexp.studies.study import Runs, Study
from normexp.studies.windows import at_least, at_most
from normexp.views.grid import where

MOMENTS = "figure of the moments at 192 layers"
FORWARD = "variance of the stream"
BACKWARD = "variance of the stream's gradient"
FACTOR = "largest factor between its value after any layer and after the last"


class DeepScale2024(Study):
    paper = "kedia2024"

    @figure(
        MOMENTS,
        title="Variance of the stream",
        x="layer",
        label="‖x‖²/width",
        log="y",
        caption="Mean squared norm over width of the stream after every layer, at initialisation.",
    )
    def forward(self) -> Drawn:
        return pd.concat([variance(runs) for runs in self.runs.values()])

    @figure(
        MOMENTS,
        title="Variance of the gradient of the stream",
        x="layer",
        label="relative to the last layer",
        log="y",
        caption="Squared norm of the loss gradient of the stream after every layer over that after the last, at "
        "initialisation.",
    )
    def backward(self) -> Drawn:
        return pd.concat([gradient(runs) for runs in self.runs.values()])

    @claim(MOMENTS, f"{FORWARD}: {FACTOR}, DeepScale", at_most(2, "ratio", "figure"))
    def forward_is_kept(self) -> Values:
        """DeepScaleLM keeps the variance of the stream through 192 layers."""
        return per_seed(variance(self.runs["scaled"]), factor)

    @claim(MOMENTS, f"{BACKWARD}: {FACTOR}, DeepScale", at_most(2, "ratio", "figure"))
    def backward_is_kept(self) -> Values:
        """DeepScaleLM keeps the variance of the gradient through 192 layers."""
        return per_seed(gradient(self.runs["scaled"]), factor)

    @claim(MOMENTS, f"{FORWARD}: last layer / first layer, Pre-LN", at_least(10, "ratio", "theory"))
    def pre_grows(self) -> Values:
        """The variance of a Pre-LN stream grows with the layer, at 192 layers by more than ten times."""
        return per_seed(where(variance(self.runs["usual"]), variant="pre_ln"), last_over_first)

    @claim(MOMENTS, f"{BACKWARD}: last layer / first layer, Pre-LN", at_most(0.5, "ratio", "theory"))
    def pre_gradient_grows_downwards(self) -> Values:
        """The gradient of a Pre-LN stream grows towards the first of 192 layers."""
        return per_seed(where(gradient(self.runs["usual"]), variant="pre_ln"), last_over_first)

    @claim(MOMENTS, f"{BACKWARD}: last layer / first layer, Post-LN", at_least(10, "ratio", "theory"))
    def post_gradient_vanishes(self) -> Values:
        """The gradient of a Post-LN stream vanishes towards the first of 192 layers."""
        return per_seed(where(gradient(self.runs["usual"]), variant="post_ln"), last_over_first)


def variance(runs: Runs) -> pd.DataFrame:
    """The mean squared norm over width of the stream after every layer."""
    return runs.layers("stream_norm", stack="encoder", site="feed_forward")


def gradient(runs: Runs) -> pd.DataFrame:
    """The squared norm of the gradient of the stream after every layer, over that after the last."""
    rows = stream_gradients(runs, "encoder")
    last = rows[rows["layer"] == rows["depth"]].set_index("folder")["value"]
    return rows.assign(value=(rows["value"] / rows["folder"].map(last)) ** 2)


def factor(seed: pd.DataFrame) -> float:
    """The largest factor, up or down, between the value after any layer and after the last; infinite if one is 0."""
    ordered = seed.sort_values("layer")["value"]
    return float(np.exp(np.log(ordered / ordered.iloc[-1]).abs().max(skipna=False)))


def last_over_first(seed: pd.DataFrame) -> float:
    ordered = seed.sort_values("layer")["value"].to_numpy()
    return float(ordered[-1] / ordered[0])
