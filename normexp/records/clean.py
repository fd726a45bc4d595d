"""Removing run folders that came to nothing."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from normexp.records.folder import RunFolder

REMOVED = ("interrupted", "failed", "damaged")


def to_remove(runs: Iterable[Path]) -> list[tuple[RunFolder, str]]:
    """The run folders that were interrupted, failed or are damaged, with their state; none that a process holds."""
    found = ((folder, folder.status["state"]) for folder in map(RunFolder, runs))
    return [(folder, state) for folder, state in found if state in REMOVED and not folder.locked]


def remove(folders: Iterable[RunFolder]) -> None:
    """Delete these folders with all that is in them. Raises OSError where that is not allowed."""
    for folder in folders:
        with folder.lock():  # a sweep that wants it meanwhile waits, and finds it gone
            shutil.rmtree(folder.path)
