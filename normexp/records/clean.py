"""Removing run folders that came to nothing."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from normexp.records.folder import RunFolder

REMOVED = ("interrupted", "failed", "damaged")


def to_remove(runs: Iterable[Path]) -> list[tuple[RunFolder, str]]:
    """The run folders that were interrupted, failed or are damaged, with their state.

    None that a process holds, and none that may be somebody else's: a folder whose status is lost has to bear a mark of
    ours.
    """
    found = ((folder, folder.status["state"]) for folder in map(RunFolder, runs))
    return [
        (folder, state)
        for folder, state in found
        if state in REMOVED and not folder.locked and (state != "damaged" or folder.is_ours)
    ]


def remove(folders: Iterable[RunFolder]) -> int:
    """Delete these folders with all that is in them; how many were deleted. Raises OSError where that is not allowed.

    Runs that another process has taken or queued since they were listed are left alone.
    """
    return sum(_remove(folder) for folder in folders)


def _remove(folder: RunFolder) -> bool:
    try:
        with folder.lock(wait=False):  # a sweep that wants it meanwhile waits, and finds it gone
            state = folder.status["state"]
            if state not in (*REMOVED, "running"):  # we hold the lock, so one that is running was interrupted
                return False
            shutil.rmtree(folder.path.resolve())
    except (BlockingIOError, FileNotFoundError):  # another process holds it, or has removed it
        return False
    return True
