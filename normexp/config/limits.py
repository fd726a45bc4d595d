"""What the options of classes may be: finite numbers, and within the range that their name or their class states.

A class states ranges of its own, or lifts one of these, with a class attribute: `limits = {"start": Limit(gt=0)}`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from normexp.errors import ConfigError

LARGEST = 10**9  # of a whole number that states no range


@dataclass(frozen=True)
class Limit:
    """A range; None is no bound. ge, gt: at least, greater than. le, lt: at most, less than."""

    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None


POSITIVE, SHARE, COUNT = Limit(gt=0), Limit(ge=0, le=1), Limit(ge=1, le=100_000)
LIMITS: dict[str, Limit] = {
    "seed": Limit(ge=0, lt=2**63),
    **dict.fromkeys(("eps", "gain", "std", "alpha", "k", "scale", "skip", "ridge", "lr", "d"), POSITIVE),
    **dict.fromkeys(("momentum", "forward_decay", "backward_decay", "fraction", "share"), SHARE),
    **dict.fromkeys(("noise", "weight_decay", "exponent"), Limit(ge=0, le=1e3)),
    **dict.fromkeys(("streams", "rounds", "skips"), Limit(ge=1, le=1000)),
    **dict.fromkeys(("draws", "iterations", "tokens", "texts", "full_at", "length", "longest"), COUNT),
    **dict.fromkeys(("nouns", "verbs", "adjectives", "prepositions", "phrases"), COUNT),
    **dict.fromkeys(("pairs", "sequences"), Limit(ge=1, le=1_000_000)),
    **dict.fromkeys(("warmup", "depth"), Limit(ge=0, le=100_000)),
}


def check_option(key: str, value: Any, own: Mapping[str, Limit]) -> None:
    """Raise ConfigError for an option that is not finite or outside its range; `own` is what its class states."""
    for number in _numbers(value):
        check_finite(key, number)
    if type(value) in (int, float):
        name = key.rpartition(".")[2]
        check_limit(key, value, own.get(name) or LIMITS.get(name) or Limit(ge=-LARGEST, le=LARGEST))


def check_finite(key: str, value: Any) -> None:
    """Raise ConfigError for a number that is nan or infinite."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{key} must be a finite number; got {value}")


def check_limit(key: str, value: float, limit: Limit) -> None:
    """Raise ConfigError for a number outside its range; nan is outside of any."""
    if limit.ge is not None and not value >= limit.ge:
        raise ConfigError(f"{key} must be at least {limit.ge:,}; got {value}")
    if limit.gt is not None and not value > limit.gt:
        raise ConfigError(f"{key} must be greater than {limit.gt:,}; got {value}")
    if limit.le is not None and not value <= limit.le:
        raise ConfigError(f"{key} must be at most {limit.le:,}; got {value}")
    if limit.lt is not None and not value < limit.lt:
        raise ConfigError(f"{key} must be less than {limit.lt:,}; got {value}")


def _numbers(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return [number for each in value.values() for number in _numbers(each)]
    if isinstance(value, list | tuple):
        return [number for each in value for number in _numbers(each)]
    return [value]
