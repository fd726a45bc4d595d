"""Decays branched off one trunk: a run starts from a shorter one, otherwise equal, whose rate has not yet fallen.

Until then both take the same steps, so the tables are those of a run from step 1, byte for byte.   Hu et al. 2024
"""

import shutil
from dataclasses import replace
from pathlib import Path

from normexp.config.identity import choices, identity, user_sources
from normexp.config.schema import Config
from normexp.config.validate import warmup_steps
from normexp.errors import ConfigError
from normexp.records.folder import TABLE_FILES, RunFolder, is_current, measurements
from normexp.records.intact import check_intact, sealing
from normexp.records.reading import Damaged
from normexp.records.tables import read_table


def trunk(config: Config) -> int:
    """The number of steps, from the first, whose rate would be the same in a longer run."""
    factor, warmup = config.schedule.factory, warmup_steps(config.warmup, config.steps)
    for step in range(1, config.steps + 1):
        if factor(step, warmup, config.steps) != factor(step, warmup, 2 * config.steps):
            return step - 1
    return config.steps


def kept_step(config: Config) -> int:
    """The step of the checkpoint that is kept for longer runs: the last one on the trunk; 0 if there is none.

    The last step of a run does not count, because a longer run measures and validates at others.
    """
    every, last = config.record.checkpoint_every, min(trunk(config), config.steps - 1)
    return max(last, 0) // every * every if config.record.trunk else 0


def check_trunk(config: Config) -> None:
    """Raises ConfigError if the run would keep no checkpoint for longer runs, or one that they cannot use."""
    if config.warmup.endswith("%"):
        raise ConfigError(
            f"record.trunk needs warmup as a number of steps, since a share is more steps of a longer run; "
            f"got {config.warmup}"
        )
    if config.training.stop_stuck.endswith("%"):
        raise ConfigError(
            "record.trunk needs training.stop_stuck as a number of steps, since a share is more steps of a longer run; "
            f"got {config.training.stop_stuck}"
        )
    if not kept_step(config):
        most = max(0, min(trunk(config), config.steps - 1))
        raise ConfigError(
            f"record.trunk needs a checkpoint in the first {most} of steps={config.steps}, before the rate of "
            f"schedule={config.schedule.name} falls; got record.checkpoint_every={config.record.checkpoint_every}"
        )


def branch(folder: RunFolder, config: Config) -> str:
    """Give a run that has not begun the longest trunk in its sweep: checkpoint, tables and provenance of that run.

    Returns what was done, or nothing if there is no such run.
    """
    own = trunk(config)
    shared = [(step, run) for run in _neighbours(folder) if 0 < (step := _shared(run, config)) <= own]
    for step, run in sorted(shared, key=lambda found: -found[0]):
        try:
            check_intact(run.path, (run.trunk.name, *TABLE_FILES), thorough=True)
            if read_table(run.path / "curves.parquet")["step"].max() < step:
                continue  # it was killed after that step, and has not come back to it
            for name in TABLE_FILES:
                _copy(run.path / name, folder.path / name)
        except (Damaged, FileNotFoundError):
            continue  # the other run's affair
        for entry in run.provenance:
            folder.append_provenance({**entry, "branched_from": run.name})
        _copy(run.trunk, folder.checkpoint)
        return f"branched off {run.name} after step {step}"
    return ""


def _neighbours(folder: RunFolder) -> list[RunFolder]:
    """The other runs of the sweep that have kept a checkpoint."""
    paths = sorted(folder.path.parent.glob("*/trunk.pt"))
    return [RunFolder(path.parent) for path in paths if path.parent != folder.path and not path.parent.is_symlink()]


def _shared(run: RunFolder, config: Config) -> int:
    """The step of a run's kept checkpoint, if the run differs from a config in its steps alone; else 0."""
    try:
        other = run.config
        same = is_current(run.status) and identity(replace(other, steps=config.steps)) == identity(config)
        # The identity has the user's sources as they are now; those that trained the run may have been others.
        same &= run.provenance[-1]["user_sources"] == user_sources(config.config_dirs, choices(config))
        return kept_step(other) if same and run.measured == measurements(config) else 0
    except Exception:  # whatever a damaged config leads to is the other run's affair
        return 0


def _copy(source: Path, target: Path) -> None:
    with sealing(target) as temporary:
        shutil.copyfile(source, temporary, follow_symlinks=False)
