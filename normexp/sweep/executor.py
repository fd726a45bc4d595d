"""Run a sweep: give all runs to a pool, then give the runs whose worker died a second and a third try."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from normexp.config.schema import Config
from normexp.errors import DiskError, Interrupted, LaunchError, disk_error
from normexp.records.folder import UNFINISHED, RunFolder
from normexp.sweep.plan import Sweep, relative_cost
from normexp.sweep.pools import Pool
from normexp.sweep.progress import Progress
from normexp.sweep.renamed import rename_complete
from normexp.sweep.sizes import memory_advice

ATTEMPTS = 3  # per run and command


def run_sweep(sweep: Sweep, pool: Pool, say: Callable[[str], None] = lambda text: None) -> bool:
    """Bring every run to its end; True if all of them completed.

    The run folders decide, whatever the pool returns or raises. A run that raised an error has failed. A run whose
    worker died is tried again, alone, because it may have taken the memory that its neighbours needed. Damaged runs
    are repaired, from their checkpoint or by running them again.
    say: called with a line about each run that is repaired or lost.
    Raises LaunchError if the pool starts nothing or the disk takes nothing, and KeyboardInterrupt or Interrupted after
    stopping the workers.
    """
    with writing():
        return _run_sweep(sweep, pool, say)


@contextmanager
def writing() -> Iterator[None]:
    """What the disk does not take becomes a DiskError in one sentence."""
    try:
        yield
    except OSError as error:
        what = disk_error(error) or f"the results cannot be written: {error.strerror or error} ({error.filename})"
        raise DiskError(what) from error


def prepare(sweep: Sweep, say: Callable[[str], None], leave: Collection[str] = ()) -> list[RunFolder]:
    """Write what the sweep has not written yet; the folders of the runs to do, pending, in the order of their turns.

    leave: the runs that are left as they are.
    """
    for line in (*rename_complete(sweep), *repairs(sweep)):
        say(line)
    sweep.create()
    pairs = [(run, folder) for run, folder in zip(sweep.runs, sweep.folders, strict=True) if run.name not in leave]
    todo = [(run, folder) for run, folder in pairs if not folder.finished_as(run.config)]
    todo.sort(key=lambda pair: _turn(pair[0].config))
    for run, folder in todo:
        with suppress(BlockingIOError), folder.lock(wait=False):  # if another command is running it, ours will wait
            if not folder.finished_as(run.config):  # as another command may have done since
                folder.update(state="pending", error=None)
    return [folder for _, folder in todo]


def leaders(sweep: Sweep, todo: Iterable[RunFolder]) -> list[RunFolder]:
    """The folders that a pool gets: of runs that train as one model, the first, whose status names the others.

    These differ in seed, learning rate or warm-up alone, at most `training.stacked` of them.
    """
    configs = {folder.path: run.config for run, folder in zip(sweep.runs, sweep.folders, strict=True)}
    stacks: list[list[RunFolder]] = []
    latest: dict[Config, list[RunFolder]] = {}
    for folder in todo:
        config = configs[folder.path]
        alike = replace(config, seed=0, lr=1.0, warmup="0")
        if folder.locked:  # another command is running it
            stacks.append([folder])
        elif alike in latest and len(latest[alike]) < config.training.stacked:
            latest[alike].append(folder)
        else:
            latest[alike] = [folder]
            stacks.append(latest[alike])
    for first, *others in stacks:
        _stack(first, [folder.name for folder in others])
        for folder in others:
            _stack(folder, [])
    return [stack[0] for stack in stacks]


def _stack(folder: RunFolder, names: list[str]) -> None:
    """Say in a run's status which others train with it."""
    if names != folder.status.get("stacked", []) and not folder.locked:
        folder.update(stacked=names)


def _run_sweep(sweep: Sweep, pool: Pool, say: Callable[[str], None]) -> bool:
    todo = prepare(sweep, say)
    configs = {folder.path: run.config for run, folder in zip(sweep.runs, sweep.folders, strict=True)}
    costs = {path: relative_cost(config) for path, config in configs.items()}
    before = {folder.path: folder.status["attempts"] for folder in todo}

    with Progress(sweep.folders, list(costs.values()), [config.steps for config in configs.values()]):
        _run(pool, leaders(sweep, todo))
        for _ in range(ATTEMPTS - 1):
            unfinished = _unfinished(todo)
            started = [folder for folder in unfinished if folder.status["attempts"] > before[folder.path]]
            _run(pool, leaders(sweep, [folder for folder in unfinished if folder not in started]))
            for folder in started:
                _stack(folder, [])
                _run(pool, [folder])
        for folder in _unfinished(todo):
            if folder.path.is_dir():
                folder.update(state="failed", error=_fate(pool, folder, configs[folder.path]))
    for folder in todo:
        if not folder.path.is_dir():
            say(f"{folder.name}: its folder was removed while it ran; run the same command again")
    return all(folder.finished_as(configs[folder.path]) for folder in sweep.folders)


def repairs(sweep: Sweep) -> Iterable[str]:
    """A line for each run folder on disk that is damaged, with what will be done about it."""
    for run, folder in zip(sweep.runs, sweep.folders, strict=True):
        if folder.path.is_dir() and (damage := folder.damage(run.config, folder.status)):
            yield f"{folder.name}: {damage}; repairing it"


def _fate(pool: Pool, folder: RunFolder, config: Config) -> str:
    if folder.path in pool.troubles:
        return pool.troubles[folder.path]
    ended = pool.deaths.get(folder.path, "without a message")
    return f"its worker died {ATTEMPTS} times ({ended}), possibly for want of memory: {memory_advice(config)}"


def _run(pool: Pool, folders: Sequence[RunFolder]) -> None:
    """Run these folders. Raises LaunchError if the pool fails before it has started any of them."""
    before = _attempts(folders)
    try:
        if folders:
            pool.run([folder.path for folder in folders])
    except (KeyboardInterrupt, Interrupted, DiskError):
        pool.stop(_running(folders))
        raise
    except Exception as failure:
        if _attempts(folders) == before:
            raise LaunchError(f"no run could be started: {failure}") from failure


def _attempts(folders: Iterable[RunFolder]) -> list[int]:
    return [folder.status["attempts"] for folder in folders]


def _turn(config: Config) -> tuple[float, float]:
    """The longest runs first, so that no core idles at the end; but the fewest steps first where others branch off."""
    return config.steps if config.record.trunk else 0, -relative_cost(config)


def _unfinished(folders: Iterable[RunFolder]) -> list[RunFolder]:
    return [folder for folder in folders if folder.status["state"] in UNFINISHED]


def _running(folders: Iterable[RunFolder]) -> list[Path]:
    return [folder.path for folder in folders if folder.status["state"] == "running"]
