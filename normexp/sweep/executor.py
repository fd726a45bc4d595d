"""Run a sweep: give all runs to a pool, then give the runs whose worker died a second and a third try."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from normexp.errors import LaunchError
from normexp.records.folder import UNFINISHED, RunFolder
from normexp.sweep.plan import Sweep, relative_cost
from normexp.sweep.pools import Pool
from normexp.sweep.progress import Progress

ATTEMPTS = 3  # per run and command


def run_sweep(sweep: Sweep, pool: Pool) -> bool:
    """Bring every run to its end; True if all of them completed.

    The run folders decide, whatever the pool returns or raises. A run that raised an error has failed. A run whose
    worker died is tried again, alone, because it may have taken the memory that its neighbours needed.
    Raises LaunchError if the pool starts nothing, and KeyboardInterrupt after stopping the workers.
    """
    sweep.create()
    costs = {folder.path: relative_cost(run.config) for run, folder in zip(sweep.runs, sweep.folders, strict=True)}
    todo = [folder for folder in sweep.folders if not folder.finished]
    todo.sort(key=lambda folder: -costs[folder.path])  # the longest first, so that no core idles at the end
    for folder in todo:
        if not folder.locked:  # else another command is running it, and ours will wait for it
            folder.update(state="pending", error=None)
    before = {folder.path: folder.status["attempts"] for folder in todo}

    with Progress(sweep.folders, list(costs.values())):
        _run(pool, todo)
        for _ in range(ATTEMPTS - 1):
            unfinished = _unfinished(todo)
            started = [folder for folder in unfinished if folder.status["attempts"] > before[folder.path]]
            _run(pool, [folder for folder in unfinished if folder not in started])
            for folder in started:
                _run(pool, [folder])
        for folder in _unfinished(todo):
            folder.update(state="failed", error=f"its worker died {ATTEMPTS} times (out of memory?)")
    return all(folder.finished for folder in sweep.folders)


def _run(pool: Pool, folders: Sequence[RunFolder]) -> None:
    """Run these folders. Raises LaunchError if the pool fails before it has started any of them."""
    before = _attempts(folders)
    try:
        if folders:
            pool.run([folder.path for folder in folders])
    except KeyboardInterrupt:
        pool.stop(_running(folders))
        raise
    except Exception as failure:
        if _attempts(folders) == before:
            raise LaunchError(f"no run could be started: {failure}") from failure


def _attempts(folders: Iterable[RunFolder]) -> list[int]:
    return [folder.status["attempts"] for folder in folders]


def _unfinished(folders: Iterable[RunFolder]) -> list[RunFolder]:
    return [folder for folder in folders if folder.status["state"] in UNFINISHED]


def _running(folders: Iterable[RunFolder]) -> list[Path]:
    return [folder.path for folder in folders if folder.status["state"] == "running"]
