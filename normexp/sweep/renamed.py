"""Runs that have another name in a sweep than they had before, because it has more swept keys or fewer."""

from collections.abc import Iterator

from normexp.records.folder import RunFolder
from normexp.sweep.plan import Sweep


def rename_complete(sweep: Sweep) -> Iterator[str]:
    """Give complete runs in the sweep's folder the names that they have now; a line about each of them.

    The name of a run is its swept values and the first digits of its identity, so only the latter stay.
    """
    pairs = zip(sweep.runs, sweep.folders, strict=True)
    missing = {_digits(run.name): (run, folder) for run, folder in pairs if not folder.path.exists()}
    if not missing or not sweep.path.is_dir():
        return
    names = {run.name for run in sweep.runs}
    for path in sorted(sweep.path.iterdir()):
        run, folder = missing.get(_digits(path.name), (None, None))
        if run is None or folder is None or path.name in names or path.is_symlink() or not path.is_dir():
            continue
        if not folder.path.exists() and RunFolder(path).finished_as(run.config):
            path.rename(folder.path)
            yield f"{path.name} is complete; its name is {folder.name} now"


def _digits(name: str) -> str:
    return name.rpartition("-")[2]
