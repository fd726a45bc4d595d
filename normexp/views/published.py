"""Runs of a folder, on disk or as the tables that were published of them."""

from pathlib import Path

import pandas as pd

from normexp.errors import ConfigError
from normexp.records.reading import plain, visible
from normexp.views.runs import STATUS, load_runs

MARKS = {"state", "outcome", "final_loss", "folder"}  # columns that only a table of runs has


NUMBERS = {*STATUS} - {"state", "outcome", "first_to_go", "error"}


def load(folder: Path) -> pd.DataFrame:
    """One row per run below a folder, from its run folders; without any, from the CSV files of published runs in it.

    Raises ConfigError if there is neither.
    """
    try:
        return load_runs(folder)
    except ConfigError:
        tables = {path.stem: _table(path) for path in sorted(folder.glob("*.csv"))}
        found = {stem: table for stem, table in tables.items() if table is not None}
        if not found:
            raise
    for stem, table in found.items():
        place = folder / stem if len(found) > 1 else folder
        table["folder"] = [str(place / Path(run).name) for run in table["folder"]]
    return pd.concat(found.values(), ignore_index=True)


def _table(path: Path) -> pd.DataFrame | None:
    """The runs of a CSV file; None for a table of another kind."""
    try:
        if not set(pd.read_csv(path, nrows=0).columns) >= MARKS:
            return None
        rows = pd.read_csv(path, keep_default_na=False, na_values=[""])
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} must be a table of runs as normexp writes it ({error})") from error
    rows = rows.map(plain).rename(columns=lambda name: visible(str(name)))
    for column in STATUS:
        if column not in rows:
            rows[column] = None
        elif column in NUMBERS:
            rows[column] = pd.to_numeric(rows[column], errors="coerce")
    return rows
