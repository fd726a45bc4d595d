"""Damaged run folders without the command that made them: repaired by their own configs, or marked."""

from collections.abc import Callable, Iterable
from pathlib import Path

from normexp.config.choice import Choice
from normexp.config.identity import identity
from normexp.config.schema import Config
from normexp.errors import Interrupted
from normexp.records import intact
from normexp.records.folder import RunFolder, is_current
from normexp.records.reading import Damaged
from normexp.sweep.plan import jobs_for
from normexp.sweep.pools.local import LocalPool

CONFIG = "config.yaml"


def repair(runs: Iterable[Path], say: Callable[[str], None]) -> bool:
    """Repair the damaged ones of these run folders; True if none is damaged afterwards.

    A run that was complete is run again, with equal tables. One that was not is marked as interrupted or pending, for
    its sweep to continue. One whose config is lost, or that an older format wrote, is marked as failed, with the
    reason. The folders that a process holds are left alone.
    say: called with a line about each damaged run, before and after.
    """
    again: dict[Path, Config] = {}
    good = True
    for run in runs:
        folder = RunFolder(run)
        damage = _damage(folder)
        if not damage:
            continue
        if folder.locked:
            say(f"{folder.name}: {damage}; a process is running it now, so it is left alone")
            good = False
        elif reason := _hopeless(folder):
            folder.update(state="failed", error=f"{damage}; {intact.HOPELESS}: {reason}")
            say(f"{folder.name}: {damage}; marked as failed: {reason}")
        elif _was_complete(folder):
            config = folder.config
            say(f"{folder.name}: {damage}; running it again{_imports(config)}")
            folder.create(config)
            again[run] = config
        else:
            say(f"{folder.name}: {damage}; {_mark(folder)}")
    if again:
        pool = LocalPool(jobs_for(config.training.device for config in again.values()))
        try:
            pool.run(list(again))
        except (KeyboardInterrupt, Interrupted):
            pool.stop(list(again))
            raise
    for run, config in again.items():
        folder = RunFolder(run)
        done = folder.finished_as(config)
        good &= done
        status = folder.status
        say(f"{folder.name}: {'repaired' if done else status.get('error') or status['state']}")
    return good


def _mark(folder: RunFolder) -> str:
    """Bring a run that was not complete to a state that its sweep goes on from; what was done, as a clause."""
    folder.discard_foreign()
    config = folder.config
    folder.create(config)
    kept = folder.checkpoint.is_file() and not folder.damage(config, {"state": "interrupted"}, thorough=True)
    if kept:
        folder.update(state="running")  # which no process is, so it reads as interrupted
        return "marked as interrupted: its sweep continues it from the checkpoint"
    folder.reset()
    folder.update(state="pending", step=None, loss=None)
    return "marked as pending: its sweep runs it from step 1"


def _damage(folder: RunFolder) -> str:
    """What is wrong with a run's files, the config included; empty if nothing is."""
    status = folder.status
    try:
        intact.check_intact(folder.path, [CONFIG], known=True)
        return folder.damage(folder.config, status)
    except Damaged as error:
        return str(error)


def _hopeless(folder: RunFolder) -> str:
    """Why a folder cannot be repaired by itself; empty if it can."""
    try:
        config = folder.config
    except Damaged as error:
        return f"{error}, which says what the run is"
    status = folder.status
    if not is_current(status):
        return f"it was recorded in the older format {status['format']}"
    try:
        digest = identity(config)
    except Exception:  # a part is missing, or is of another type
        return f"{CONFIG} is not a config of normexp"
    if not folder.name.endswith(digest[:8]):
        return f"its name does not have the digest of {CONFIG}, so another config or another version made it"
    return ""


def _was_complete(folder: RunFolder) -> bool:
    status = folder.status
    return status["state"] == "completed" or (status["state"] == "damaged" and folder.weights.is_file())


def _imports(config: Config) -> str:
    """Which classes from outside the package a run imports, as the end of a sentence."""
    chosen = [each for each in vars(config).values() if isinstance(each, Choice)]
    chosen += [*config.addon, *config.probes]
    foreign = sorted({each.target for each in chosen if not each.target.startswith(("normexp.", "torch."))})
    where = f" from {', '.join(config.config_dirs)}" if config.config_dirs else ""
    return f"; it imports {', '.join(foreign)}{where}" if foreign else ""
