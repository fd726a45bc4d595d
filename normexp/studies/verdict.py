"""From one value per seed to an interval, and from the interval to a verdict.

A claim *holds* if the whole 95 % interval over the seeds is inside its window, it *does not hold* if the interval is
outside, and the runs *cannot tell* if it straddles an edge, if there are fewer than five seeds, or if a
seed has no value. It *cannot be tested* if its precondition fails. Where seeds are added until a claim is decided, the
interval at each look is the longer one whose error rates add up to 5 % (see normexp.studies.seeds).
"""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from scipy import stats

ERROR = 0.05  # chance of a false verdict of one claim, shared evenly among its looks (Bonferroni)
LEVEL = 1 - ERROR  # of the interval of a single look, for equivalence too: stricter than two one-sided tests at 5 %
MINIMUM = 5  # seeds
BOOTSTRAP_FROM = 8  # seeds
# The margins of "the same", one per kind of number: a share of (source-blind loss − floor), and an exponent.
LOSS_MARGIN, EXPONENT_MARGIN = 0.05, 0.2

KINDS = {
    "difference": "a difference, or a number with a sign",
    "ratio": "a positive number whose logarithm varies evenly; its mean is the geometric one",
    "exponent": "the slope of a fit",
    "level": "a number against a bound",
    "share": "a count: 1 for every seed where it happened, else 0",
    "equivalence": "a difference that should be inside a margin",
    "identity": "a number that no sampling moves: every seed must meet the window",
    "control": "the same compared with itself on other seeds: the verdict must be that the runs cannot tell",
}
SOURCES = ("theory", "figure", "pilot", "convention")


class Verdict(StrEnum):
    HOLDS = "holds"
    FAILS = "does not hold"
    UNDECIDED = "cannot tell"
    UNTESTED = "cannot be tested"


@dataclass(frozen=True)
class Interval:
    """An estimate and its interval. p: the smallest error rate at which there is still a verdict."""

    estimate: float
    low: float
    high: float
    p: float


def level_of(looks: int) -> float:
    """Confidence level of the interval at each of several looks at the same claim."""
    return 1 - ERROR / looks


def judge(values: Sequence[float], low: float, high: float, kind: str, level: float = LEVEL) -> Verdict:
    """The verdict on values of the seeds (infinite where a run diverged, NaN where there is none) in a window."""
    found = np.asarray(values, dtype=float)
    if kind == "identity":
        return (
            Verdict.UNTESTED if not len(found) else Verdict.HOLDS if _inside(found, low, high).all() else Verdict.FAILS
        )
    if len(found) < MINIMUM or np.isnan(found).any():
        return Verdict.UNDECIDED
    if kind != "share" and not np.isfinite(found).all():
        return _of_share(_inside(found, low, high), level)
    at = interval(found, low, high, kind, level)
    if low <= at.low and at.high <= high:
        return Verdict.HOLDS
    return Verdict.FAILS if at.high < low or at.low > high else Verdict.UNDECIDED


def interval(
    values: Sequence[float] | np.ndarray, low: float, high: float, kind: str, level: float = LEVEL
) -> Interval:
    """The estimate with its interval: Student's t for fewer than 8 seeds, BCa from then on; of counts see `_of_count`.

    BCa is too short for ten or twenty seeds, so it is widened to Student's where that one is longer. Where a value is
    infinite there is no mean: the estimate is the median, the interval all seeds, and the verdict that of the share of
    seeds inside the window. NaN for fewer than two seeds and where one has no value.
    """
    x = np.asarray(values, dtype=float)
    if len(x) < 2 or np.isnan(x).any():
        mean = float(x.mean()) if len(x) == 1 else math.nan
        return Interval(mean, math.nan, math.nan, math.nan)
    if kind == "identity":
        return Interval(float(np.abs(x).max()), float(x.min()), float(x.max()), math.nan)
    if kind == "share":
        bounds, tail = _of_count(int(x.sum()), len(x), level)
        return Interval(float(x.mean()), *bounds, _nearest(tail, low, high))
    if not np.isfinite(x).all():
        inside = _inside(x, low, high)
        _, tail = _of_count(int(inside.sum()), len(inside), level)
        return Interval(float(np.median(x)), float(x.min()), float(x.max()), min(1.0, 2 * tail(0.5)))
    if kind == "ratio" and (x > 0).all():
        bottom, top = (math.log(edge) if edge > 0 else -math.inf for edge in (low, high))
        at = _of_mean(np.log(x), bottom, top, level)
        return Interval(math.exp(at.estimate), math.exp(at.low), math.exp(at.high), at.p)
    return _of_mean(x, low, high, level)


def _of_mean(x: np.ndarray, low: float, high: float, level: float) -> Interval:
    mean, error = float(x.mean()), float(x.std(ddof=1) / math.sqrt(len(x)))
    if error <= 1e-9 * abs(mean):  # all seeds alike, but for rounding
        return Interval(mean, mean, mean, 0.0)
    student = stats.t(len(x) - 1, mean, error)
    bounds = student.interval(level)
    if len(x) >= BOOTSTRAP_FROM:
        boot = _bca(x, level)
        bounds = min(bounds[0], boot[0]), max(bounds[1], boot[1])
    p = _nearest(lambda edge: min(student.cdf(edge), student.sf(edge)), low, high)
    return Interval(mean, float(bounds[0]), float(bounds[1]), p)


def _bca(x: np.ndarray, level: float) -> tuple[float, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        made = stats.bootstrap(
            (x,), np.mean, confidence_level=level, method="BCa", n_resamples=4999, random_state=_fixed()
        )
    low, high = (float(edge) for edge in made.confidence_interval)
    return (low, high) if math.isfinite(low) and math.isfinite(high) else (float(x.mean()), float(x.mean()))


def _fixed() -> np.random.Generator:
    """The same resamples every time, so that the same tables give the same verdict."""
    return np.random.default_rng(0)


def _of_count(successes: int, trials: int, level: float) -> tuple[tuple[float, float], Callable[[float], float]]:
    """The interval of a share, and its smaller tail beyond a value.

    Jeffreys' interval for a single look. At a share of one half its error is 6 % for five trials, which several looks
    cannot share, so that they have the exact one of Clopper and Pearson.
    """
    if level > LEVEL:
        exact = stats.binomtest(successes, trials).proportion_ci(level, method="exact")
        return (float(exact.low), float(exact.high)), lambda edge: float(
            min(stats.binom.cdf(successes, trials, edge), stats.binom.sf(successes - 1, trials, edge))
        )
    posterior = stats.beta(successes + 0.5, trials - successes + 0.5)
    low = 0.0 if successes == 0 else float(posterior.ppf((1 - level) / 2))
    high = 1.0 if successes == trials else float(posterior.ppf(1 - (1 - level) / 2))
    return (low, high), lambda edge: float(min(posterior.cdf(edge), posterior.sf(edge)))


def _of_share(inside: np.ndarray, level: float) -> Verdict:
    """Whether more than half of all seeds are inside."""
    (low, high), _ = _of_count(int(inside.sum()), len(inside), level)
    return Verdict.HOLDS if low > 0.5 else Verdict.FAILS if high < 0.5 else Verdict.UNDECIDED


def _inside(x: np.ndarray, low: float, high: float) -> np.ndarray:
    return (x >= low) & (x <= high)


def _nearest(tail: Any, low: float, high: float) -> float:
    """Twice the larger tail beyond an edge: the two-sided p of the edge that is nearest."""
    return float(min(1.0, 2 * max((tail(edge) for edge in (low, high) if math.isfinite(edge)), default=0.0)))


def q_values(p: Sequence[float]) -> list[float]:
    """Benjamini and Hochberg's q of every claim of a family; NaN for a claim without a p."""
    known = [value for value in p if not math.isnan(value)]
    adjusted = iter(stats.false_discovery_control(known) if known else ())
    return [math.nan if math.isnan(value) else float(next(adjusted)) for value in p]


def in_family(verdicts: Sequence[str], q: Sequence[float]) -> list[str]:
    """The verdicts of a family of claims: one that *holds* or *does not hold* needs a q of at most 5 %.

    Then at most 5 % of the verdicts of the family are expected to be false. A claim without a q keeps its verdict.
    """
    decided = (Verdict.HOLDS, Verdict.FAILS)
    return [
        Verdict.UNDECIDED if verdict in decided and value > ERROR else verdict
        for verdict, value in zip(verdicts, q, strict=True)
    ]
