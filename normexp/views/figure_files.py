"""The figures of a sweep as files."""

from pathlib import Path

import pandas as pd

from normexp.views import compare, figures


def up_to_date(sweep: Path, runs: pd.DataFrame, kind: str = "*") -> list[Path]:
    """The figures in the folder of a sweep, if neither the sweep nor one of its runs has changed since; else nothing.

    Those of a comparison, which may be there too, are not of the sweep alone.
    """
    found = sorted(path for path in (sweep / "figures").glob(f"*.{kind}") if not path.name.startswith(compare.PREFIX))
    changed = [sweep / "sweep.json", *(Path(run, "status.json") for run in runs["folder"])]
    newest = max((path.stat().st_mtime for path in changed if path.exists()), default=0.0)
    return found if all(path.stat().st_mtime >= newest for path in found) else []


def figure_files(sweep: Path, runs: pd.DataFrame, spare: Path, kind: str = "png") -> list[Path]:
    """The figures of the runs of a sweep: those in its own folder if they are up to date, else new ones in `spare`."""
    if found := up_to_date(sweep, runs, kind) or sorted(spare.glob(f"*.{kind}")):
        return found
    return sorted(path for path in figures.save(runs, spare) if path.suffix == f".{kind}")
