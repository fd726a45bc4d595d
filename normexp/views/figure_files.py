"""The figures of a sweep as files."""

from pathlib import Path

import pandas as pd

from normexp.views import compare, figures


def figure_files(sweep: Path, runs: pd.DataFrame, spare: Path, kind: str = "png") -> list[Path]:
    """The figures of the runs of a sweep: those in its own folder if no run is newer, else newly drawn ones in `spare`.

    Those of a comparison, which may be there too, are not of the sweep alone.
    """
    found = sorted(path for path in (sweep / "figures").glob(f"*.{kind}") if not path.name.startswith(compare.PREFIX))
    states = [status for run in runs["folder"] if (status := Path(run, "status.json")).exists()]
    newest = max((path.stat().st_mtime for path in states), default=0.0)
    if found and all(path.stat().st_mtime >= newest for path in found):
        return found
    drawn = sorted(spare.glob(f"*.{kind}"))
    return drawn or sorted(path for path in figures.save(runs, spare) if path.suffix == f".{kind}")
