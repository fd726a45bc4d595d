"""Tables on disk: typed, whole, and equal to the byte where their rows are equal."""

import pandas as pd
import pyarrow.parquet as pq
import pytest

from normexp.records.tables import SCHEMAS, Table

ROWS = [(1, "train", "nll", 4.0), (1, "train", "lr", 1e-3), (2, "train", "nll", float("nan")), (2, "valid", "nll", 3.5)]


def curves(folder, *parts) -> Table:
    table = Table(folder, "curves")
    for rows in parts:
        table.extend(rows)
    return table


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_table_without_rows_has_its_columns(name, tmp_path):
    """A run without probes leaves a readable table too."""
    table = Table(tmp_path, name)
    assert list(table.frame().columns) == SCHEMAS[name].names
    table.write()
    assert pq.read_table(tmp_path / f"{name}.parquet").schema == SCHEMAS[name]


def test_rows_come_back_typed_and_in_order(tmp_path):
    """NaN is a measured value and does not turn into null; no temporary file is left."""
    curves(tmp_path, ROWS).write()
    read = pq.read_table(tmp_path / "curves.parquet")
    assert read.schema == SCHEMAS["curves"]
    pd.testing.assert_frame_equal(
        read.to_pandas(), pd.DataFrame(ROWS, columns=SCHEMAS["curves"].names).astype({"step": "int32"})
    )
    assert read["value"].null_count == 0  # NaN was measured: it is not nothing
    assert {path.name for path in tmp_path.iterdir()} == {"curves.parquet", "files.json"}


def test_columns_may_be_unordered_and_extra(tmp_path):
    """A probe's frame need not know the order of the columns on disk."""
    table = curves(tmp_path)
    table.add(pd.DataFrame({"value": [4.0], "more": [1], "statistic": ["nll"], "split": ["train"], "step": [1]}))
    assert table.frame().to_numpy().tolist() == [[1, "train", "nll", 4.0]]


def test_equal_rows_give_equal_bytes(tmp_path):
    """So that a resumed run can be compared with an undisturbed one byte by byte."""

    def written(table: Table) -> bytes:
        table.write()
        return table.path.read_bytes()

    for name in ("whole", "parts", "resumed"):
        (tmp_path / name).mkdir()
    whole = written(curves(tmp_path / "whole", ROWS))
    assert written(curves(tmp_path / "parts", ROWS[:1], ROWS[1:3], ROWS[3:])) == whole
    curves(tmp_path / "resumed", ROWS[:3]).write()
    resumed = Table(tmp_path / "resumed", "curves")
    resumed.load(last_step=1)
    resumed.extend(ROWS[2:])
    assert written(resumed) == whole
    changed = [*ROWS[:3], (2, "valid", "nll", 3.5000001)]
    assert written(curves(tmp_path / "whole", changed)) != whole


def test_loading_stops_at_a_step(tmp_path):
    """Rows past the checkpoint are dropped on resume."""
    curves(tmp_path, ROWS).write()
    table = Table(tmp_path, "curves")
    table.load(last_step=1)
    assert table.frame()["statistic"].tolist() == ["nll", "lr"]
    table.load(last_step=0)
    assert len(table.frame()) == 0
