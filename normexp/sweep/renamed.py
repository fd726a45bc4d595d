"""Runs that have another name in a sweep than they had before, because it has more swept keys or fewer."""

from collections.abc import Iterator
from pathlib import Path

from normexp.records.folder import RunFolder
from normexp.sweep.plan import Sweep


def rename_complete(sweep: Sweep) -> Iterator[str]:
    """Give complete runs in the sweep's folder the names that they have now; a line about each of them."""
    for new, old in complete_elsewhere(sweep).items():
        if not new.exists():  # another command may have made it since
            old.rename(new)
            yield f"{old.name} is complete; its name is {new.name} now"


def complete_elsewhere(sweep: Sweep) -> dict[Path, Path]:
    """By the folder that a run of the sweep should have: the one in which it is complete, where that is another.

    The name of a run is its swept values and the first digits of its identity, so only the latter stay.
    """
    pairs = zip(sweep.runs, sweep.folders, strict=True)
    missing = {_digits(run.name): (run, folder.path) for run, folder in pairs if not folder.path.exists()}
    if not missing or not sweep.path.is_dir():
        return {}
    names = {run.name for run in sweep.runs}
    found: dict[Path, Path] = {}
    for path in sorted(sweep.path.iterdir()):
        if path.name in names or _digits(path.name) not in missing or path.is_symlink() or not path.is_dir():
            continue
        run, new = missing[_digits(path.name)]
        if new not in found and RunFolder(path).finished_as(run.config):
            found[new] = path
    return found


def _digits(name: str) -> str:
    return name.rpartition("-")[2]
