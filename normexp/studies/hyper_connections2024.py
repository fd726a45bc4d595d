"""Several streams with learned mixing: do layers see more different inputs, does the loss fall, do products explode?"""

from collections.abc import Mapping
from typing import ClassVar

import pandas as pd

from normexp.studies.control import Control
from normexp.studies.declare import Drawn, Values, claim, figure
from normexp.studies.statistics import differences, per_seed
from normexp.studies.tuned import Tuned
from normexp.studies.windows import LOWER, at_least, at_most
from normexp.views.grid import where

HC, MHC, PRE = "hyper_connections", "mhc", "pre_ln"
SIMILARITY = "figure of the similarity of layers"
XIE = "Xie et al. 2025"
GAIN = "largest gain of the product of all mixing matrices, of signal or gradient, at any layer after training"
LOSS = "validation loss as a share of blind loss − floor, each at its own rate"
GAIN_OF = {"forward_gain": "the signal", "backward_gain": "the gradient"}


class HyperConnections2024(Control, Tuned):
    paper = "zhu2024"
    rates: ClassVar[Mapping[str, float]] = {}

    @figure(
        SIMILARITY,
        title="Similarity of what neighbouring branches read",
        x="layer",
        column="site",
        label="cosine",
        caption="Mean cosine between what a branch reads and what the branch before it reads, after training.",
    )
    def similarity(self) -> Drawn:
        return self.trained("input_cosine").sort_values("site", kind="stable", ignore_index=True)

    @figure(
        XIE,
        title="Gain of the product of all mixing matrices",
        x="layer",
        column="gain of",
        label="largest |sum|",
        log="y",
        caption="Largest |row sum| (signal) and |column sum| (gradient) of the product of all mixing matrices up to a "
        "layer; mean over the tokens, after training.",
    )
    def gains(self) -> Drawn:
        return pd.concat([self._gain(name).assign(**{"gain of": label}) for name, label in GAIN_OF.items()])

    @figure(
        title="Distance of mixing matrices from the identity",
        own=True,
        x="layer",
        column="moment",
        label="‖H − I‖/√n",
        caption="Mean over the tokens, of the matrix after every feed-forward.",
    )
    def mixing(self) -> Drawn:
        return without_pre(self.moments("mixing_change", site="feed_forward"))

    @claim(
        SIMILARITY,
        "mean cosine between what a branch reads and what the one before it reads, after training: "
        "hyper-connections − Pre-LN",
        at_most(0, "difference", "figure"),
    )
    def layers_less_alike(self) -> Values:
        """With hyper-connections, neighbouring branches read less similar vectors than with Pre-LN."""
        return differences(*(per_seed(self.trained("input_cosine", name), mean_value) for name in (HC, PRE)))

    @claim("table of losses", f"{LOSS}: hyper-connections − Pre-LN", LOWER)
    def lower_loss(self) -> Values:
        """Hyper-connections end at a lower loss than Pre-LN."""
        return self.valid_gap(self.frame(), {"variant": HC}, {"variant": PRE})

    @claim(XIE, f"{LOSS}: mHC − Pre-LN", LOWER)
    def constrained_lower_loss(self) -> Values:
        """Hyper-connections with doubly stochastic mixing (mHC) end at a lower loss than Pre-LN."""
        return self.valid_gap(self.frame(), {"variant": MHC}, {"variant": PRE})

    @claim(XIE, f"{GAIN}, mHC", at_most(1.6, "level", "figure"))
    def constrained_product_is_bounded(self) -> Values:
        """The product of doubly stochastic mixing matrices (mHC), unlike that of free hyper-connections, is bounded."""
        return self._largest(MHC)

    @claim(XIE, f"{GAIN}: hyper-connections / mHC", at_least(1, "ratio", "figure"))
    def free_product_gains_more(self) -> Values:
        """The product of unconstrained mixing matrices of hyper-connections has a larger gain than that of mHC."""
        return [free / bound for free, bound in zip(self._largest(HC), self._largest(MHC), strict=True)]

    @claim(
        "",
        "mean distance of mixing matrices from the identity over √n after training, mHC",
        at_most(0.1, "level", "convention"),
        own=True,
    )
    def constrained_mixing_stays(self) -> Values:
        """From a start near the identity, the doubly stochastic mixing of hyper-connections (mHC) stays near it."""
        return per_seed(self.trained("mixing_change", MHC), mean_value)

    def _gain(self, direction: str) -> pd.DataFrame:
        return without_pre(self.trained(direction, site="feed_forward"))

    def _largest(self, variant: str) -> list[float]:
        both = [where(self._gain(direction), variant=variant) for direction in GAIN_OF]
        return per_seed(pd.concat(both), lambda seed: float(seed["value"].max(skipna=False)))


def without_pre(rows: pd.DataFrame) -> pd.DataFrame:
    """Pre-LN has nothing to mix."""
    return rows[rows["variant"] != PRE]


def mean_value(seed: pd.DataFrame) -> float:
    return float(seed["value"].mean(skipna=False))
