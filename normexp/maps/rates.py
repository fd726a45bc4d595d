"""Which learning rates to try next, for one variant at one depth.

Rates are a factor of 2 apart: rate k is start · 2^k. The search begins with two and moves towards the lowest loss until
a rate on each side of the best one is worse, so that the best rate is inside what was tried. It begins at the rate that
shallower stacks of the variant point to, if there are any. Where no run has learned anything yet, all lower rates come
first.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

FIRST = (0, 1)
LEAST = (-1, 0, 1)  # if one of them is missing, the best rate cannot be known to be inside
FARTHEST = 5  # octaves from the start, each way
WITHOUT_HOPE = (-FARTHEST, 2)  # lowest and highest rate that must be tried before nothing is known to learn at a point


@dataclass(frozen=True)
class Tried:
    """A run at one rate. loss: infinite where it diverged. learned: whether it is better than stuck or diverged."""

    loss: float
    learned: bool


def best(tried: Mapping[int, Tried]) -> int:
    """The exponent of the lowest loss; of runs that learned, if any did."""
    learned = {k: run for k, run in tried.items() if run.learned}
    return min(sorted(learned or tried), key=lambda k: tried[k].loss)


def interior(tried: Mapping[int, Tried]) -> bool:
    """Whether a rate on each side of the best one was tried."""
    k = best(tried)
    return k - 1 in tried and k + 1 in tried


def first_rate(depth: int, shallower: Mapping[int, Mapping[int, Tried]]) -> int:
    """The exponent with which a search begins, from finished ones at smaller depths.

    It is on the power law through the last two best rates; with one of them its best rate, with none 0. Depths at which
    no run learned anything do not count.
    """
    found = {at: best(tried) for at, tried in sorted(shallower.items()) if any(run.learned for run in tried.values())}
    if not found:
        return 0
    (*_, before, last) = (min(found), *found)  # with one depth, twice the same
    slope = (found[last] - found[before]) / math.log(last / before) if last > before else 0.0
    return max(-FARTHEST, min(FARTHEST - 1, round(found[last] + slope * math.log(depth / last))))


def next_rates(tried: Mapping[int, Tried], margin: float = 0.0, first: int = 0) -> list[int]:
    """The exponents of the rates to try next; none where the search is over.

    first: the exponent of the first of them all.
    margin: nats. Above 0, the search goes on to both sides until a run is worse than the best one by more than that,
    so that the window of usable rates is known (see `window`).
    """
    if not tried:
        return [first + k for k in FIRST]
    low, high = min(tried), max(tried)
    if gaps := [k for k in range(low, high) if k not in tried]:  # runs that were removed since
        return gaps
    if not any(run.learned for run in tried.values()):
        if low > WITHOUT_HOPE[0]:
            return [low - 1]
        if high < WITHOUT_HOPE[1]:
            return [high + 1]
    k = best(tried)
    ends = []
    if low > -FARTHEST and (k == low or (margin and usable(tried, low, margin))):
        ends.append(low - 1)
    if high < FARTHEST and (k == high or (margin and usable(tried, high, margin))):
        ends.append(high + 1)
    return ends


def usable(tried: Mapping[int, Tried], k: int, margin: float) -> bool:
    """Whether the run at rate k learned and its loss is at most `margin` above the lowest."""
    return tried[k].learned and tried[k].loss <= tried[best(tried)].loss + margin


def window(tried: Mapping[int, Tried], margin: float) -> int:
    """Octaves from the lowest to the highest usable rate around the best one, both included; 0 where nothing learns."""
    k = best(tried)
    if not tried[k].learned:
        return 0
    low = high = k
    while low - 1 in tried and usable(tried, low - 1, margin):
        low -= 1
    while high + 1 in tried and usable(tried, high + 1, margin):
        high += 1
    return high - low + 1
