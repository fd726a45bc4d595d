"""Post-LN with a heavy skip: its gradient at the start, and what 48 layers learn with and without its first block."""

from collections.abc import Callable, Generator

import pandas as pd

from normexp.records.outcome import HAS_LEARNED
from normexp.studies.control import Control
from normexp.studies.declare import Drawn, Values, claim, figure
from normexp.studies.rows import LOSS_BY_STEP, loss_curves, stream_gradients
from normexp.studies.statistics import outcome_in, values_by_seed
from normexp.studies.study import Part, Runs, Study, at_own_rates, best_lr
from normexp.studies.windows import FEW, LOWER, MOST, at_least, within
from normexp.views.grid import where

KEEL, PRE, POST = "keel", "pre_ln", "post_ln"
RULE, PLAIN = "keel", "keel, first block like others"
GRADIENTS = "section on gradients"
DEPTH = "figure of the loss over depth"
LEARNS = "share of the seeds that are trained or partial at 48 layers"
SHARE = "validation loss as a share of blind loss − floor at 48 layers, each at its own rate"


class Keel2026(Control, Study):
    paper = "chen2026"

    def plan(self) -> Generator[Part, Runs, None]:
        """First the parts that need no rate; then for both forms of Keel the rates and the runs at them."""
        yield from (self.parts[name] for name in ("start", "start_plain", "control"))
        for form in ("", "_plain"):
            rates = best_lr((yield self.parts[f"rates{form}"]).frame)
            yield from at_own_rates(self.parts[f"runs{form}"], rates)

    @figure(
        GRADIENTS,
        title="Gradient of the stream",
        x="layer",
        label="relative to the last layer",
        log="y",
        caption="Gradient norm of the stream after every layer over that after the last, at initialisation.",
    )
    def gradients(self) -> Drawn:
        return pd.concat([relative(self.runs["start"]), named(relative(self.runs["start_plain"]))])

    @figure(DEPTH, title="Training loss of 48 layers, each at its own rate", **LOSS_BY_STEP)
    def losses(self) -> Drawn:
        return self._all(loss_curves)

    @claim(
        GRADIENTS,
        "gradient of the stream after the first layer over that after the last, Keel, at the start",
        within(0.5, 2, "equivalence", "theory"),
    )
    def gradient_is_kept(self) -> Values:
        """Keel neither grows nor shrinks the gradient of the residual stream over its layers."""
        return list(values_by_seed(relative(self.runs["start"]), variant=KEEL, layer=1))

    @claim(
        "section on the first block",
        "gradient of the first attention at the start: Keel with its rule for the first block / without",
        at_least(1, "ratio", "theory"),
    )
    def first_block_gets_more(self) -> Values:
        """The rule for its first block gives Keel's first attention a larger gradient."""
        with_rule, without = (first_gradient(self.runs[name]) for name in ("start", "start_plain"))
        return list(with_rule / without)

    @claim(DEPTH, f"{LEARNS}, Keel", MOST)
    def keel_learns(self) -> Values:
        """Keel learns at 48 layers."""
        return self._learns(RULE)

    @claim(DEPTH, f"{LEARNS}, Post-LN", FEW)
    def post_does_not(self) -> Values:
        """Post-LN does not learn at 48 layers."""
        return self._learns(POST)

    @claim(DEPTH, f"{SHARE}: Keel − Pre-LN", LOWER)
    def lower_than_pre(self) -> Values:
        """Keel ends at a lower loss than Pre-LN at 48 layers."""
        return self._gap(RULE, PRE)

    @claim(
        "section on the first block",
        f"{SHARE}: Keel with its rule for the first block − without",
        LOWER,
        own=True,
    )
    def rule_lowers_loss(self) -> Values:
        """The rule for its first block lowers the loss of Keel at 48 layers."""
        return self._gap(RULE, PLAIN)

    def _frame(self) -> pd.DataFrame:
        """All runs at their own rates; Keel without its rule under a name of its own."""
        return self._all(lambda runs: runs.frame)

    def _all(self, read: Callable[[Runs], pd.DataFrame]) -> pd.DataFrame:
        """What `read` gives for all of them."""
        with_rule = [read(self.runs[name]) for name in self.runs if name.startswith("runs-")]
        without = [named(read(self.runs[name])) for name in self.runs if name.startswith("runs_plain-")]
        return pd.concat([*with_rule, *without], ignore_index=True)

    def _learns(self, variant: str) -> list[float]:
        return outcome_in(HAS_LEARNED, where(self._frame(), variant=variant))

    def _gap(self, variant: str, other: str) -> list[float]:
        return self.valid_gap(self._frame(), {"variant": variant}, {"variant": other})


def named(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of Keel without its rule, under the name that sets it apart."""
    return rows.assign(variant=PLAIN)


def relative(runs: Runs) -> pd.DataFrame:
    """The norm of the gradient of the stream after every layer, over that after the last."""
    rows = stream_gradients(runs, "decoder")
    last = rows[rows["layer"] == rows["depth"]].set_index("folder")["value"]
    return rows.assign(value=rows["value"] / rows["folder"].map(last))


def first_gradient(runs: Runs) -> pd.Series:
    """The gradient norm of Keel's first attention, by seed."""
    return values_by_seed(runs.layers("grad_norm", site="attention", parameter=""), variant=KEEL, layer=1)
