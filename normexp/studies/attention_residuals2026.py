"""Sub-layers that choose among all outputs below: are gradients and outputs even over the layers, is the loss lower?"""

from collections.abc import Mapping
from typing import ClassVar

import pandas as pd

from normexp.studies.control import Control
from normexp.studies.declare import Drawn, Values, claim, figure
from normexp.studies.rows import fc2_gradients
from normexp.studies.statistics import per_seed, ratio
from normexp.studies.tuned import Tuned
from normexp.studies.windows import LOWER, at_most
from normexp.views.grid import where

OURS, PRE = "attention_residuals", "pre_ln"
GRADIENTS = "figure of gradients by block"
OUTPUTS = "figure of outputs by block"
EVEN = "largest over smallest gradient of fc2 over the layers: attention residuals / Pre-LN"


class AttentionResiduals2026(Control, Tuned):
    paper = "kimi2026"
    # The best rate at 12 layers on the map of twelve variants.
    rates: ClassVar[Mapping[str, float]] = {PRE: 1.2e-2}

    @figure(
        GRADIENTS,
        title="Gradient of the second feed-forward matrix by layer",
        x="layer",
        column="moment",
        label="gradient norm",
        log="y",
        caption="Norm of the loss gradient of fc2 in every layer: at width 512 and of 20 seeds at the start, at 64 and "
        "of 5 after training.",
    )
    def gradients(self) -> Drawn:
        start, end = self._start(), self._end()
        return pd.concat([start.assign(moment="at the start"), end.assign(moment="after training")])

    @figure(
        OUTPUTS,
        title="Size of what sub-layers add",
        x="layer",
        label="‖F(x)‖²/width",
        log="y",
        caption="Mean squared norm over width of the output of every feed-forward, after training.",
    )
    def outputs(self) -> Drawn:
        return self.trained("branch_norm", site="feed_forward")

    @claim(GRADIENTS, f"{EVEN}, at the start", at_most(0.5, "ratio", "convention"), own=True)
    def even_at_start(self) -> Values:
        """At initialisation, attention residuals give the layers more even gradients than Pre-LN does."""
        return evenness(self._start())

    @claim(GRADIENTS, f"{EVEN}, after training", at_most(0.5, "ratio", "convention"))
    def even_after_training(self) -> Values:
        """After training, attention residuals give the layers more even gradients than Pre-LN does."""
        return evenness(self._end())

    @claim(
        OUTPUTS,
        "largest over smallest output of a feed-forward over the layers: attention residuals / Pre-LN, after training",
        at_most(0.5, "ratio", "convention"),
    )
    def even_outputs(self) -> Values:
        """After training, the outputs of the layers are more even with attention residuals than with Pre-LN."""
        return evenness(self.trained("branch_norm", site="feed_forward"))

    @claim(
        "table of losses",
        "validation loss as a share of blind loss − floor: attention residuals − Pre-LN, each at its own rate",
        LOWER,
    )
    def lower_loss(self) -> Values:
        """Attention residuals end at a lower loss than Pre-LN."""
        return self.valid_gap(self.frame(), {"variant": OURS}, {"variant": PRE})

    def _start(self) -> pd.DataFrame:
        return fc2_gradients(self.runs["start"], stack="decoder")

    def _end(self) -> pd.DataFrame:
        return self.trained("grad_norm", site="feed_forward", parameter="fc2.weight")


def evenness(rows: pd.DataFrame) -> list[float]:
    """Largest over smallest value over the layers: of attention residuals, over that of Pre-LN, seed by seed."""
    ours, pre = (per_seed(where(rows, variant=name), lambda seed: ratio(seed["value"])) for name in (OURS, PRE))
    return [a / b for a, b in zip(ours, pre, strict=True)]
