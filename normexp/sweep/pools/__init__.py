"""Pools: what brings run folders to workers. A pool gets folders and nothing else; the folders say what to do."""

from collections.abc import Callable

from normexp.errors import ConfigError
from normexp.sweep.plan import Sweep, default_jobs
from normexp.sweep.pools.pool import Pool

__all__ = ["ELSEWHERE", "POOLS", "Pool", "make_pool"]


def _local(sweep: Sweep, jobs: int) -> Pool:
    from normexp.sweep.pools.local import LocalPool

    return LocalPool(jobs or default_jobs(sweep))


def _hydra(sweep: Sweep, jobs: int) -> Pool:
    from normexp.sweep.pools.hydra import HydraPool

    if not any(text.startswith("hydra/launcher=") for text in sweep.launcher):
        raise ConfigError("--pool hydra needs the name of a launcher, for example hydra/launcher=joblib")
    return HydraPool(sweep.path, sweep.launcher)


def _slurm(sweep: Sweep, jobs: int) -> Pool:
    from normexp.sweep.pools.slurm import SlurmPool

    if jobs:
        raise ConfigError("--jobs is not used by --pool slurm; set slurm.at_once")
    return SlurmPool(sweep)


def _ray(sweep: Sweep, jobs: int) -> Pool:
    from normexp.sweep.pools.ray import RayPool

    return RayPool(sweep, jobs)


POOLS: dict[str, Callable[[Sweep, int], Pool]] = {"local": _local, "slurm": _slurm, "ray": _ray, "hydra": _hydra}
ELSEWHERE = ("slurm", "ray")  # pools whose workers may be on other machines; each has keys under its name


def make_pool(name: str, sweep: Sweep, jobs: int) -> Pool:
    """The pool of this name. An empty name means hydra if the user named a Hydra launcher, else local.

    jobs: runs at a time; 0 leaves it to the pool. Raises ConfigError for an unknown name.
    """
    name = name or ("hydra" if sweep.launcher else "local")
    if name not in POOLS:
        raise ConfigError(f"--pool must be one of {', '.join(POOLS)}; got {name}")
    if sweep.launcher and name != "hydra":
        raise ConfigError(f"{sweep.launcher[0]} is only used by --pool hydra; remove it")
    for text in sweep.overrides:
        owner = text.lstrip("+").partition(".")[0]
        if owner in ELSEWHERE and owner != name:
            raise ConfigError(f"{text} is only used by --pool {owner}; remove it")
    return POOLS[name](sweep, jobs)
