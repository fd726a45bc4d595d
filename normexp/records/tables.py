"""The tidy tables of a run, as parquet: one row per measured value."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from normexp.records.intact import sealing
from normexp.records.reading import Damaged, check_file, plain

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


MOST_BYTES = 2**32  # of a table on disk
MOST_ROWS = 10**8


def read_table(path: Path, filters: Sequence[tuple[str, str, Any]] | None = None) -> pd.DataFrame:
    """A table from disk, with exactly its own columns and types. Raises Damaged for anything else.

    filters: of pyarrow, applied while reading. What pandas or Arrow keep in a file's metadata is ignored.
    """
    check_file(path, MOST_BYTES)
    schema = SCHEMAS[path.stem]
    try:
        with pq.ParquetFile(path) as file:
            if file.metadata.num_rows > MOST_ROWS:
                raise Damaged(path, f"has {file.metadata.num_rows:,} rows, more than the {MOST_ROWS:,} it may have")
            missing = set(schema.names) - set(file.schema_arrow.names)
        if missing:
            raise Damaged(path, f"lacks the column {min(missing)}")
        arrow_filters = list(filters) if filters else None
        # A folder's name may contain key=value, which Arrow would take for columns.
        table = pq.read_table(path, columns=schema.names, filters=arrow_filters, partitioning=None)
        frame = table.select(schema.names).cast(schema).to_pandas(ignore_metadata=True)
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError, OverflowError) as error:
        if isinstance(error, Damaged):
            raise
        raise Damaged(path, "is not a table of normexp") from error
    for field in schema:
        if field.type == pa.string():
            shown = {text: plain(text) for text in frame[field.name].unique()}
            if any(text != other for text, other in shown.items()):
                frame[field.name] = frame[field.name].map(shown)
    return frame


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
        """Read what is on disk, up to and including `last_step`: a checkpoint may be older than the table.

        Raises Damaged if it cannot be read.
        """
        rows = read_table(self.path)
        self._parts = [rows[rows["step"] <= last_step].reset_index(drop=True)]

    def write(self) -> None:
        frame = self.frame()
        # Column by column: Table.from_pandas would write a diverged loss, NaN, as if nothing had been measured.
        columns = [pa.array(frame[field.name], field.type, from_pandas=False) for field in self.schema]
        table = pa.Table.from_arrays(columns, schema=self.schema)
        with sealing(self.path) as temporary:
            pq.write_table(table, temporary)
