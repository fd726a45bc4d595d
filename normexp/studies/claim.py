"""A claim: a statement of a paper, what was computed to check it, and the verdict."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from normexp.studies.verdict import Interval, Verdict, interval, judge, level_of


class Untested(Exception):
    """A claim whose runs are missing at this size; the message says which."""


@dataclass(frozen=True)
class Claim:
    """A statement and its check. The window is fixed in code before the run that tests it.

    name: unique within the study, for the notes in its YAML. text: the paper's statement, one sentence that can be read
    alone. place: where the paper makes it. statistic: what is computed, one value per seed, with its unit.
    values: one per seed; infinite where a run diverged and that counts; NaN where a seed has none.
    low, high: the window, ends included. kind, source: of the number and of the window, see normexp.studies.verdict.
    precondition: what must be the case for the claim to be testable, and `met`: whether it is.
    exploratory: added after results had suggested it, so that it confirms nothing. training: whether checking it took
    training. own: an extension of ours, not a statement of the paper.
    """

    name: str
    text: str
    place: str
    statistic: str
    values: Sequence[float]
    low: float = -math.inf
    high: float = math.inf
    kind: str = "difference"
    source: str = "convention"
    precondition: str = ""
    met: bool = True
    exploratory: bool = False
    training: bool = False
    own: bool = False
    looks: int = 1
    reads: frozenset[str] = frozenset()

    @property
    def level(self) -> float:
        """Confidence level of the interval."""
        return level_of(self.looks)

    @property
    def interval(self) -> Interval:
        return interval(self.values, self.low, self.high, self.kind, self.level)

    @property
    def verdict(self) -> Verdict:
        return judge(self.values, self.low, self.high, self.kind, self.level) if self.met else Verdict.UNTESTED

    @property
    def confirmatory(self) -> bool:
        """Whether its verdict counts: its window was there before any result suggested it, and it is no control."""
        return not self.exploratory and self.kind != "control"

    @property
    def agreeing(self) -> int:
        """Seeds that meet the window by themselves."""
        return sum(self.low <= value <= self.high for value in self.values)

    @property
    def window(self) -> str:
        """The window in signs: [-0.25, 0.15], ≥ 0.5, ≤ 3."""
        if math.isinf(self.low):
            return f"≤ {self.high:.4g}"
        return f"≥ {self.low:.4g}" if math.isinf(self.high) else f"[{self.low:.4g}, {self.high:.4g}]"

    @property
    def measured(self) -> str:
        """Estimate [interval] (seeds)."""
        at = self.interval
        if math.isnan(at.estimate):
            return f"– (n = {len(self.values)})" if self.values else "–"
        bounds = "" if math.isnan(at.low) else f" [{at.low:.4g}, {at.high:.4g}]"
        return f"{at.estimate:.4g}{bounds} (n = {len(self.values)})"
