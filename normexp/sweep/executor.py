"""A sweep from its cells to their end: launch, see what the folders say, launch again what a launcher dropped."""

import os
import signal
import socket
from collections.abc import Iterable
from contextlib import suppress

from normexp.config.compose import Composer, launch
from normexp.errors import LaunchError
from normexp.records.folder import UNFINISHED, RunFolder
from normexp.sweep.plan import Cell, Sweep, cost
from normexp.sweep.progress import Progress

ATTEMPTS = 3  # per cell and command


def run_sweep(sweep: Sweep, composer: Composer, jobs: int) -> bool:
    """Bring every cell to its end; True when all of them completed.

    A cell that raises stays failed. One whose worker was killed is launched again, now alone: whatever killed it
    may have taken its neighbours along. Raises LaunchError, or KeyboardInterrupt after stopping the workers.
    """
    sweep.create()
    folder = {cell: sweep.folder(cell) for cell in sweep.cells}
    todo = [cell for cell in sweep.cells if not folder[cell].finished]
    todo.sort(key=lambda cell: -cost(cell.config))  # the longest first, so that no core idles at the end
    for cell in todo:
        if not folder[cell].locked:  # else another command is at work on it, and ours will wait for it
            folder[cell].update(state="pending", error=None)
    before = {cell: folder[cell].status["attempts"] for cell in todo}

    def tries(cell: Cell) -> int:
        return folder[cell].status["attempts"] - before[cell]

    fresh, suspects = todo, list[Cell]()
    with Progress([folder[cell] for cell in sweep.cells], [cost(cell.config) for cell in sweep.cells]):
        while fresh or suspects:
            for batch in [fresh] if fresh else [[cell] for cell in suspects]:
                try:
                    launch(sweep, batch, composer, jobs)
                except KeyboardInterrupt:
                    _stop(folder.values())
                    raise
                except Exception as failure:  # whatever a launcher raises, the folders know what was done
                    if not any(tries(cell) for cell in batch):
                        raise LaunchError(f"the launcher started nothing: {failure}") from failure
            unfinished = [cell for cell in todo if folder[cell].status["state"] in UNFINISHED]
            for cell in unfinished:
                if tries(cell) >= ATTEMPTS:
                    error = f"its worker was killed {ATTEMPTS} times (out of memory?)"
                    folder[cell].update(state="failed", error=error)
            fresh = [cell for cell in unfinished if not tries(cell)]
            suspects = [cell for cell in unfinished if 0 < tries(cell) < ATTEMPTS]
    return all(each.finished for each in folder.values())


def _stop(folders: Iterable[RunFolder]) -> None:
    """End the workers of this machine that are still at it: a checkpoint keeps what they did."""
    for folder in folders:
        status = folder.status
        if status["state"] == "running" and status["host"] == socket.gethostname():
            with suppress(ProcessLookupError):
                os.kill(status["pid"], signal.SIGTERM)
