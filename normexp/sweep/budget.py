"""Training for a number of tokens or FLOPs instead of steps, so that runs are compared at equal cost.

There is no budget in seconds: it would make a run depend on the machine and on what else the machine does, and no
second run would be the same.
"""

from collections.abc import Collection
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from normexp.config.limits import LARGEST
from normexp.config.schema import Config
from normexp.errors import ConfigError

if TYPE_CHECKING:
    from normexp.model.flops import Cost

BUDGETS = ("tokens", "flops")
MOST_STEPS = LARGEST


def budgeted(config: Config, set_keys: Collection[str]) -> Config:
    """The config with the number of steps that costs what its budget says, to the nearest step.

    set_keys: the keys that the user set. Raises ConfigError for two budgets, and for one that is less than a step.
    """
    chosen = [key for key in BUDGETS if getattr(config, key)]
    if not chosen:
        return config
    budget = chosen[0]
    if others := [key for key in ("steps", *BUDGETS) if key in set_keys and key != budget]:
        raise ConfigError(f"{budget} and {others[0]} both say how long to train; remove one of them")
    if not config.steps:
        raise ConfigError(f"{budget} is not used where nothing is trained; remove it")
    step = _cost(_as_counted(config))
    per_step = step.tokens_per_step * (step.flops_per_token if budget == "flops" else 1.0)
    steps = round(getattr(config, budget) / per_step)
    if not 1 <= steps <= MOST_STEPS:
        bound = f"at least {per_step:.4g}, one step" if steps < 1 else f"at most {MOST_STEPS * per_step:.4g}"
        raise ConfigError(f"{budget} must be {bound}; got {getattr(config, budget):g}")
    return replace(config, steps=steps)


def _as_counted(config: Config) -> Config:
    """The config without what changes no cost, so that runs alike are counted once."""
    return replace(config, seed=0, lr=1.0, warmup="0", steps=1, tokens=0.0, flops=0.0, name="", probes=())


@cache
def _cost(config: Config) -> "Cost":
    from normexp.data.corpus import load_corpus
    from normexp.model.flops import cost

    try:
        return cost(config, load_corpus(config.data))
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise ConfigError(
            f"tokens and flops cannot be counted for variant={config.variant.name}, use steps: {reason}"
        ) from error
