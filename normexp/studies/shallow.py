"""Where every variant trains: is Post-LN then at least as good as Pre-LN?"""

import math
from collections.abc import Generator

import pandas as pd

from normexp.studies.declare import Drawn, Values, claim, figure
from normexp.studies.rows import MEANS, NATS
from normexp.studies.statistics import loss_gap, per_seed, valid_loss
from normexp.studies.study import Part, Runs, Study, at_own_rates, best_lr

POST = f"validation loss at the end: Post-LN − Pre-LN, {NATS}"


class Shallow(Study):
    title = "Is Post-LN at least as good as Pre-LN in shallow stacks, each at its own learning rate?"

    def plan(self) -> Generator[Part, Runs, None]:
        """First the rates; then the runs, one sweep per chosen rate."""
        chosen = best_lr((yield self.parts["rates"]).frame)
        yield from at_own_rates(self.parts["runs"], chosen)

    @figure(
        title="Validation loss of shallow stacks, each at its own learning rate",
        x="step",
        column="depth",
        label=NATS,
        log="y",
        caption=f"The rate was chosen at depth 4 on seed 100. {MEANS}",
    )
    def valid_loss(self) -> Drawn:
        return self._curves()

    @claim("after Liu et al. 2020", POST, kind="difference", at_most=0, source="figure", own=True)
    def post_2(self) -> Values:
        """Post-LN of 2 layers, fully trained, is at least as good as Pre-LN."""
        return self._gap("post_ln", 2)

    @claim("Liu et al. 2020, tables (27.8 against 27.3 BLEU at 6 layers)", POST, kind="difference", at_most=0,
           source="figure")  # fmt: skip
    def post_6(self) -> Values:
        """Post-LN of 6 layers, fully trained, is at least as good as Pre-LN."""
        return self._gap("post_ln", 6)

    @claim("Takase et al. 2022, table of 6 layers", f"validation loss at the end: B2T − Pre-LN, {NATS}",
           kind="difference", at_most=0, source="figure")  # fmt: skip
    def b2t_6_pre(self) -> Values:
        """B2T of 6 layers, fully trained, is at least as good as Pre-LN."""
        return self._gap("b2t", 6)

    @claim("a check", "largest fall over the last tenth of the steps as a share of the loss, Post-LN and Pre-LN",
           kind="level", at_most=0.05, source="convention", own=True)  # fmt: skip
    def flat(self) -> Values:
        """The validation loss of Post-LN and Pre-LN is flat at the end of training."""
        curves = self._curves()
        return per_seed(curves[curves["variant"].isin(("post_ln", "pre_ln"))], _last_fall)

    def _runs(self) -> list[Runs]:
        return [self.runs[name] for name in self.runs if name != "rates"]

    def _curves(self) -> pd.DataFrame:
        return pd.concat([part.curves("nll", split="valid") for part in self._runs()])

    def _gap(self, variant: str, depth: int) -> list[float]:
        """Validation loss − Pre-LN's."""
        frame = pd.concat([part.frame for part in self._runs()], ignore_index=True)
        return loss_gap(
            frame, {"variant": variant, "depth": depth}, {"variant": "pre_ln", "depth": depth}, loss=valid_loss
        )


def _last_fall(seed: pd.DataFrame) -> float:
    """Of every run from its last validation with a tenth of the steps left; the largest, NaN where none got there."""
    falls = []
    for _, run in seed.groupby("folder"):
        loss, steps = run.set_index("step")["value"].sort_index(), run["steps"].iloc[0]
        if loss.index[-1] == steps:  # a run that diverged before has no last tenth
            falls.append(1 - loss.iloc[-1] / loss[loss.index <= 0.9 * steps].iloc[-1])
    return max(falls, default=math.nan)
