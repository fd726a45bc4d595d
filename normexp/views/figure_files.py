"""The figures of a sweep as files."""

from pathlib import Path

import pandas as pd

from normexp.views import compare, figures


def up_to_date(sweep: Path) -> list[Path]:
    """The figures and the report of a sweep, if they are there and none of its runs is newer; else nothing."""
    made = sorted(path for path in (sweep / "figures").glob("*.*") if not path.name.startswith(compare.PREFIX))
    report = sweep / "report.html"
    if not made or not report.exists():
        return []
    changed = max(path.stat().st_mtime for path in (*sweep.glob("sweep.json"), *sweep.glob("*/status.json")))
    return [*made, report] if min(path.stat().st_mtime for path in (*made, report)) > changed else []


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
