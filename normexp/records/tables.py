"""The tidy tables of a run, as parquet: one row per measured value."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from normexp.records.atomic import replacing

SCHEMAS = {
    "curves": pa.schema({"step": pa.int32(), "split": pa.string(), "statistic": pa.string(), "value": pa.float64()}),
    "layers": pa.schema(
        {
            "step": pa.int32(),
            "stack": pa.string(),
            "layer": pa.int32(),
            "site": pa.string(),
            "parameter": pa.string(),
            "statistic": pa.string(),
            "value": pa.float64(),
        }
    ),
    # Wall-clock values have a table of their own: they differ between two runs that are otherwise equal to the byte.
    "timing": pa.schema({"step": pa.int32(), "statistic": pa.string(), "value": pa.float64()}),
}


class Table:
    """Rows of one table, written whole and atomically; equal rows give equal bytes."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path, self.schema = folder / f"{name}.parquet", SCHEMAS[name]
        self._parts: list[pd.DataFrame] = []

    def add(self, rows: pd.DataFrame) -> None:
        self._parts.append(rows[self.schema.names])

    def extend(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """Rows as tuples in the order of the table's columns."""
        self.add(pd.DataFrame(list(rows), columns=self.schema.names))

    def frame(self) -> pd.DataFrame:
        """All rows so far."""
        if not self._parts:
            return self.schema.empty_table().to_pandas()
        if len(self._parts) > 1:
            self._parts = [pd.concat(self._parts, ignore_index=True)]
        return self._parts[0]

    def load(self, last_step: int) -> None:
        """Read what is on disk, up to and including `last_step`: a checkpoint may be older than the table."""
        rows = pq.read_table(self.path).to_pandas()
        self._parts = [rows[rows["step"] <= last_step].reset_index(drop=True)]

    def write(self) -> None:
        frame = self.frame()
        # Column by column: Table.from_pandas would write a diverged loss, NaN, as if nothing had been measured.
        columns = [pa.array(frame[field.name], field.type, from_pandas=False) for field in self.schema]
        table = pa.Table.from_arrays(columns, schema=self.schema)
        with replacing(self.path) as temporary:
            pq.write_table(table, temporary)
