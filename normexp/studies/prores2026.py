"""Branches that fade in, deeper layers later: does that lower the loss, and more so the deeper the stack?"""

import pandas as pd

from normexp.studies.control import Control
from normexp.studies.declare import Drawn, Values, claim, figure
from normexp.studies.rows import drawn_regret
from normexp.studies.study import Study
from normexp.studies.windows import LOWER, at_least

PARTS = {"with": "with ProRes", "without": "without"}
FIGURE = "figure of the loss over depth"
GAIN = "validation loss as a share of blind loss − floor: with − without ProRes"
GROWS = "validation loss as a share of blind loss − floor, without − with ProRes: 12 − 6 layers"


class ProRes2026(Control, Study):
    paper = "chen2026_prores"

    @figure(FIGURE, title="Validation loss with and without ProRes", x="depth", colour="change", column="variant")
    def losses(self) -> Drawn:
        rows = self._frame()
        rows = rows.assign(value=rows["valid_loss"].astype(float))
        return drawn_regret(
            rows, rows, "Loss on the validation part, after the last step, at the best rates without ProRes."
        )

    @claim(FIGURE, f"{GAIN}, Pre-LN of 12 layers", LOWER)
    def pre_gains(self) -> Values:
        """ProRes lowers the loss of a deep Pre-LN stack."""
        return self._gap("pre_ln", 12)

    @claim(FIGURE, f"{GAIN}, Post-LN of 12 layers", LOWER)
    def post_gains(self) -> Values:
        """ProRes lowers the loss of a deep Post-LN stack."""
        return self._gap("post_ln", 12)

    @claim(FIGURE, f"{GROWS}, Pre-LN", at_least(0, "difference", "figure"))
    def pre_gain_grows(self) -> Values:
        """ProRes lowers the loss of a deep Pre-LN stack by more than that of a shallower one."""
        return [shallow - deep for shallow, deep in zip(self._gap("pre_ln", 6), self._gap("pre_ln", 12), strict=True)]

    @claim(FIGURE, f"{GROWS}, Post-LN", at_least(0, "difference", "figure"))
    def post_gain_grows(self) -> Values:
        """ProRes lowers the loss of a deep Post-LN stack by more than that of a shallower one."""
        return [shallow - deep for shallow, deep in zip(self._gap("post_ln", 6), self._gap("post_ln", 12), strict=True)]

    def _frame(self) -> pd.DataFrame:
        """All runs but the control's; `change` says whether they have ProRes."""
        parts = [(name.partition("_")[0], self.runs[name].frame) for name in self.runs if name != "control"]
        return pd.concat([frame.assign(change=PARTS[kind]) for kind, frame in parts])

    def _gap(self, variant: str, depth: int) -> list[float]:
        one, other = ({"variant": variant, "depth": depth, "change": change} for change in PARTS.values())
        return self.valid_gap(self._frame(), one, other)
