"""Where every variant trains: is Post-LN then at least as good as Pre-LN?"""

import math
from collections.abc import Generator

import pandas as pd

from normexp.studies.control import Control
from normexp.studies.declare import Drawn, Values, claim, figure
from normexp.studies.rows import REDUCIBLE, drawn_regret
from normexp.studies.statistics import per_seed, reducible
from normexp.studies.study import Part, Runs, Study, at_own_rates, best_lr
from normexp.studies.windows import LOWER
from normexp.views import formatting
from normexp.views.grid import where

POST = f"final loss: Post-LN − Pre-LN, {REDUCIBLE}"
UNTIED = f"{POST}, untied output matrix"
FLAT = 0.01  # of source-blind loss − floor


class Shallow(Control, Study):
    title = "Is Post-LN at least as good as Pre-LN in shallow stacks, each at its own learning rate?"

    def plan(self) -> Generator[Part, Runs, None]:
        """First the rates; then the runs, one sweep per chosen rate."""
        yield self.parts["control"]
        chosen = best_lr((yield self.parts["rates"]).frame)
        for name in ("runs", "untied"):
            yield from at_own_rates(self.parts[name], chosen)

    @figure(
        title="Validation loss of shallow stacks, each at its own learning rate",
        x="step",
        column="depth",
    )
    def valid_loss(self) -> Drawn:
        frame = pd.concat([part.frame for part in self._runs("runs")], ignore_index=True)
        rates = frame.groupby("variant", sort=False)["lr"].first()
        chosen = ", ".join(f"{variant} {formatting.number(float(lr))}" for variant, lr in rates.items())
        return drawn_regret(self._curves(), frame, f"The rates were chosen at depth 4 on seed 100: {chosen}.")

    @claim("after Liu et al. 2020", POST, LOWER, own=True)
    def post_2(self) -> Values:
        """Post-LN of 2 layers, fully trained, is at least as good as Pre-LN."""
        return self._gap("post_ln", 2)

    @claim("Liu et al. 2020, tables (27.8 against 27.3 BLEU at 6 layers)", POST, LOWER)
    def post_6(self) -> Values:
        """Post-LN of 6 layers, fully trained, is at least as good as Pre-LN."""
        return self._gap("post_ln", 6)

    @claim("Takase et al. 2022, table of 6 layers", f"final loss: B2T − Pre-LN, {REDUCIBLE}", LOWER)
    def b2t_6_pre(self) -> Values:
        """B2T of 6 layers, fully trained, is at least as good as Pre-LN."""
        return self._gap("b2t", 6)

    @claim("after Liu et al. 2020", UNTIED, LOWER, exploratory=True, own=True)
    def post_2_untied(self) -> Values:
        """Post-LN of 2 layers, fully trained with an untied output matrix, is at least as good as Pre-LN."""
        return self._gap("post_ln", 2, "untied")

    @claim("after Liu et al. 2020", UNTIED, LOWER, exploratory=True, own=True)
    def post_6_untied(self) -> Values:
        """Post-LN of 6 layers, fully trained with an untied output matrix, is at least as good as Pre-LN."""
        return self._gap("post_ln", 6, "untied")

    def _runs(self, kind: str) -> list[Runs]:
        return [self.runs[name] for name in self.runs if name.startswith(kind)]

    def _curves(self, kind: str = "runs") -> pd.DataFrame:
        return pd.concat([part.curves("nll", split="valid") for part in self._runs(kind)])

    def _gap(self, variant: str, depth: int, kind: str = "runs") -> list[float]:
        """Final loss − Pre-LN's, as a share of source-blind loss − floor. kind: runs, or untied."""
        frame = pd.concat([part.frame for part in self._runs(kind)], ignore_index=True)
        arms = [{"variant": name, "depth": depth} for name in (variant, "pre_ln")]
        gap = self.ordering(frame, *arms)
        curves = pd.concat([where(self._curves(kind), **arm) for arm in arms])
        fall = max(per_seed(curves, _last_fall), default=math.nan)
        self.needs(
            f"the validation losses fall by less than {FLAT:.0%} of source-blind loss − floor over the last tenth.",
            fall < FLAT * reducible(frame),
        )
        return gap


def _last_fall(seed: pd.DataFrame) -> float:
    """Of every run over the last tenth of the steps, in nats; the largest, NaN where none got there."""
    falls = []
    for _, run in seed.groupby("folder"):
        loss, steps = run.set_index("step")["value"].sort_index(), run["steps"].iloc[0]
        if loss.index[-1] == steps:  # a run that diverged before has no last tenth
            falls.append(loss[loss.index <= 0.9 * steps].iloc[-1] - loss.iloc[-1])
    return max(falls, default=math.nan)
