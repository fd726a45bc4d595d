"""Learning-rate schedules: the factor on the peak rate at a step, counted from 1.

All of them begin with a linear warm-up of `warmup` steps (0: none), reach 1 at its end, and differ afterwards.
"""

import math
from collections.abc import Callable

from normexp.errors import ConfigError

Schedule = Callable[[int, int, int], float]


def constant(step: int, warmup: int, steps: int) -> float:
    """1 after the warm-up."""
    return min(1.0, step / warmup) if warmup else 1.0


def linear(step: int, warmup: int, steps: int) -> float:
    """Straight down to 0 one step after the last.   Devlin et al. 2018"""
    return min(constant(step, warmup, steps), (steps + 1 - step) / (steps + 1 - max(warmup, 1)))


def cosine(step: int, warmup: int, steps: int) -> float:
    """Half a cosine down to 0 one step after the last.   Loshchilov & Hutter 2017"""
    if step <= warmup:
        return step / warmup
    start = max(warmup, 1)
    return 0.5 * (1 + math.cos(math.pi * (step - start) / (steps + 1 - start)))


def inverse_sqrt(step: int, warmup: int, steps: int) -> float:
    """√(warmup / step), and 1/√step without warm-up.   Vaswani et al. 2017"""
    return min(constant(step, warmup, steps), math.sqrt(max(warmup, 1) / step))


def wsd(step: int, warmup: int, steps: int, *, decay: float = 0.2) -> float:
    """1 until the last `decay` of all steps, then straight down to 0 one step after the last.   Hu et al. 2024"""
    if not 0 <= decay <= 1:
        raise ConfigError(f"schedule.decay must be between 0 and 1; got {decay}")
    start = max(warmup, 1, steps - round(decay * steps))
    return min(constant(step, warmup, steps), (steps + 1 - step) / (steps + 1 - start))
