"""What a tracker gets to know of a run: its name, its settings, its results and everything it measured, by step."""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from normexp.records.events import curve_tag, layer_tag
from normexp.records.reading import Damaged, visible
from normexp.records.tables import read_table
from normexp.views.runs import STATUS

NOT_SETTINGS = ("heartbeat", "pid", "host", "measured", "format", "folder")


@dataclass(frozen=True)
class Measured:
    """One run. metrics: by step, the finite values by their names. seconds: when its status was written, since 1970."""

    sweep: str
    name: str
    config: dict[str, Any]
    results: dict[str, Any]
    metrics: dict[int, dict[str, float]]
    seconds: float

    @property
    def label(self) -> str:
        """The sweep's and the run's name: the same run has the same label, however often it is exported."""
        return f"{self.sweep}/{self.name}"

    @property
    def id(self) -> str:
        """The label as 16 hexadecimal digits."""
        return hashlib.sha256(self.label.encode()).hexdigest()[:16]


def measured(runs: pd.DataFrame) -> Iterator[Measured]:
    """Every completed run of a frame of `load_runs`, but for those whose tables cannot be read."""
    for row in runs[runs["state"] == "completed"].to_dict("records"):
        folder = Path(row["folder"])
        try:
            metrics = _metrics(folder)
        except Damaged:
            continue
        given = {str(key): value for key, value in row.items() if not _missing(value)}
        results = {key: value for key, value in given.items() if key in STATUS or key.startswith("baseline.")}
        config = {key: value for key, value in given.items() if key not in (*results, *NOT_SETTINGS)}
        yield Measured(
            sweep=visible(folder.resolve().parent.name),
            name=visible(folder.name),
            config=config,
            results=results,
            metrics=metrics,
            seconds=(folder / "status.json").stat().st_mtime,
        )


def _metrics(folder: Path) -> dict[int, dict[str, float]]:
    """Curves and sites, by the names that they have in TensorBoard."""
    curves = read_table(folder / "curves.parquet")
    layers = read_table(folder / "layers.parquet", [("parameter", "==", "")])
    curves["name"] = [*map(curve_tag, curves["statistic"], curves["split"])]
    layers["name"] = [*map(layer_tag, *(layers[key] for key in ("stack", "layer", "site", "parameter", "statistic")))]
    rows = pd.concat([curves, layers])
    rows = rows[np.isfinite(rows["value"])].sort_values(["step", "name"])
    found: dict[int, dict[str, float]] = {}
    for step, name, value in zip(rows["step"].tolist(), rows["name"], rows["value"].tolist(), strict=True):
        found.setdefault(step, {})[name] = value
    return found


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, Real) and math.isnan(value))
