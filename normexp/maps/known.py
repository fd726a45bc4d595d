"""The runs of an earlier map that a map need not train again, from the runs.csv that it has left."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from normexp.config.choice import named
from normexp.config.schema import value_of
from normexp.data.corpus import load_corpus
from normexp.errors import ConfigError
from normexp.records.outcome import HAS_LEARNED
from normexp.sweep.plan import PlannedRun

NUMBERS = {"floor": float, "blind": float, "lr": float, "seed": int, "loss": float, "step": int}
COLUMNS = ("data", "floor", "blind", "lr", "seed", "loss", "outcome", "step")  # of every run, after its point's keys


def known_runs(table: Path, planned: Iterable[PlannedRun], swept: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """The rows of the table that are of planned runs, by the runs' names.

    Only the swept keys, the data, the rate, the seed and the steps can be compared; that all other settings are the
    same is the user's word. Raises ConfigError if the table is none of a map, has not all of these columns, or is of
    runs with another number of steps or on other data, as its levels blind and floor show.
    """
    try:
        frame = pd.read_csv(table, dtype=str, keep_default_na=False)
        keys = [*frame.columns[: list(frame.columns).index("data") + 1]]
        rows: list[dict[str, Any]] = frame[[*keys, *COLUMNS[1:]]].astype(NUMBERS).to_dict("records")  # type: ignore
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"--known must be the runs.csv of a map; got {table}") from error
    if missing := [key for key in swept if key not in (*keys, "lr", "seed")]:
        raise ConfigError(f"--known {table} has no column {missing[0]}, by which the runs of this map differ")
    by = {(*(_text(row[key]) for key in keys), f"{row['lr']:.6g}", row["seed"]): row for row in rows}
    found: dict[str, Mapping[str, Any]] = {}
    for run in planned:
        config = run.config
        values = {key: named(value_of(config, key)) for key in keys}
        row = by.get((*map(_text, values.values()), f"{config.lr:.6g}", config.seed))
        if row:
            if row["step"] > config.steps or (row["outcome"] in HAS_LEARNED and row["step"] < config.steps):
                raise ConfigError(
                    f"--known {table} is of runs with {row['step']} steps; those here have {config.steps}"
                )
            _check_data(table, row, load_corpus(config.data).baselines_for(config.task.name))
            found[run.name] = row | values  # as those that are trained here have them
    return found


def _check_data(table: Path, row: Mapping[str, Any], here: Mapping[str, float]) -> None:
    """Refuse a run whose corpus has not the levels that the one here has."""
    for level in ("blind", "floor"):
        if not math.isclose(row[level], here[level], rel_tol=1e-5, abs_tol=1e-5):
            raise ConfigError(
                f"--known {table} is of runs on other data: data={row['data']} has {level} loss {here[level]:.6g} "
                f"here and {row[level]:.6g} there"
            )


def _text(value: Any) -> str:
    """A value as it is compared: numbers with the digits that a table has."""
    try:
        return f"{float(value):.6g}"
    except (TypeError, ValueError):
        return "" if value is None else str(value)
