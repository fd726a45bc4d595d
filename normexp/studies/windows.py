"""The window of a claim: where its value must be, what kind of number that is, and where the window comes from."""

import math
from dataclasses import dataclass

from normexp.studies.verdict import EXPONENT_MARGIN, KINDS, LOSS_MARGIN, SOURCES


@dataclass(frozen=True)
class Window:
    """From low to high, ends included. kind, source: one of KINDS and one of SOURCES in normexp.studies.verdict."""

    low: float
    high: float
    kind: str
    source: str

    def __post_init__(self) -> None:
        assert self.kind in KINDS, self.kind
        assert self.source in SOURCES, self.source


def at_least(low: float, kind: str, source: str) -> Window:
    return Window(low, math.inf, kind, source)


def at_most(high: float, kind: str, source: str) -> Window:
    return Window(-math.inf, high, kind, source)


def within(low: float, high: float, kind: str, source: str) -> Window:
    return Window(low, high, kind, source)


def exponent_of(value: float, source: str) -> Window:
    """An exponent that is the same as `value`, by the margin of exponents."""
    return within(value - EXPONENT_MARGIN, value + EXPONENT_MARGIN, "equivalence", source)


# More than half of the seeds, and fewer.
MOST, FEW = at_least(0.5, "share", "convention"), at_most(0.5, "share", "convention")
# Of two numbers whose order the paper prints the first is lower.
LOWER = at_most(0, "difference", "figure")
# Of two losses the first is higher, lower, no higher, or the same, by the margin of losses.
HIGHER_LOSS = at_least(LOSS_MARGIN, "difference", "convention")
LOWER_LOSS = at_most(-LOSS_MARGIN, "difference", "convention")
NO_HIGHER_LOSS = at_most(LOSS_MARGIN, "difference", "convention")
SAME_LOSS = within(-LOSS_MARGIN, LOSS_MARGIN, "equivalence", "convention")
