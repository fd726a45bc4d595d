"""A claim: a statement of a paper, what was computed to check it, and whether it holds here."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np


class Untested(Exception):
    """A claim that cannot be tested, and what is missing."""


class Verdict(StrEnum):
    HOLDS = "holds"
    FAILS = "does not hold"
    UNTESTED = "cannot be tested"


@dataclass(frozen=True)
class Claim:
    """A statement and its check. The threshold is fixed in code before the run that tests it.

    name: unique within the study, for the notes in its YAML. text: the statement, in our own words.
    place: where the paper makes it. statistic: what is computed, one value per seed, with its unit.
    values: one per seed; infinite where a run diverged and that counts; NaN or nothing where it cannot be told.
    low, high: the mean over the seeds must lie between them, ends included.
    kind: what sort of number it is (difference, ratio, exponent, level, share, equivalence, identity).
    source: where the window comes from: theory, figure (of the paper), pilot (runs of ours before it was fixed) or
    convention. training: whether checking it took training. own: an extension of ours, not a statement of the paper.
    why: for a claim that cannot be tested at this size, what is missing.
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
    training: bool = False
    own: bool = False
    why: str = ""

    @property
    def known(self) -> list[float]:
        return [float(value) for value in self.values if not math.isnan(value)]

    @property
    def mean(self) -> float:
        return float(np.mean(self.known)) if self.known else math.nan

    @property
    def spread(self) -> float:
        """Standard deviation over the seeds; NaN for fewer than two or an infinite value."""
        finite = len(self.known) > 1 and all(map(math.isfinite, self.known))
        return float(np.std(self.known, ddof=1)) if finite else math.nan

    @property
    def agreeing(self) -> int:
        """Seeds that meet the threshold by themselves."""
        return sum(self.low <= value <= self.high for value in self.known)

    @property
    def verdict(self) -> Verdict:
        if not self.known or self.why:
            return Verdict.UNTESTED
        return Verdict.HOLDS if self.low <= self.mean <= self.high else Verdict.FAILS

    @property
    def threshold(self) -> str:
        """What was asked for, in signs."""
        if math.isinf(self.low):
            return f"≤ {self.high:.4g}"
        return f"≥ {self.low:.4g}" if math.isinf(self.high) else f"{self.low:.4g} to {self.high:.4g}"

    @property
    def measured(self) -> str:
        """Mean ± standard deviation (seeds)."""
        if not self.known:
            return "–"
        spread = "" if math.isnan(self.spread) else f" ± {self.spread:.2g}"
        return f"{self.mean:.4g}{spread} (n = {len(self.known)})"
