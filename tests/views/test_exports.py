import json
import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from normexp.errors import ConfigError
from normexp.views.exports import as_json, latex, parquet
from normexp.views.runs import load_runs, load_table


@pytest.mark.slow
def test_json_has_every_run_and_its_readings(sweep: Path) -> None:
    frame = load_runs(sweep)
    rows = json.loads(as_json(frame))
    assert len(rows) == len(frame)
    (row,) = (row for row in rows if row["folder"] == "try/depth=06,variant=pre_ln,seed=0-1a2b3c4d")
    assert (row["depth"], row["norm.eps"], row["outcome"], row["final_loss"]) == (6, 1e-5, "trained", 0.2)
    assert {"pid", "host", "results"}.isdisjoint(row)
    tables = load_table(frame[frame["folder"].str.endswith(row["folder"])], "layers", [("parameter", "==", "")])
    ends = tables[tables["step"].isin([1, 100])]
    assert [each["value"] for each in row["readings"]] == pytest.approx(ends["value"].tolist(), rel=1e-13)
    assert set(row["readings"][0]) == {"step", "stack", "layer", "site", "statistic", "value"}


@pytest.mark.slow
def test_json_has_no_value_that_is_not_json(sweep: Path) -> None:
    text = as_json(load_runs(sweep))
    assert json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_latex_is_a_table_with_everything_escaped(sweep: Path) -> None:
    text = latex(load_runs(sweep))
    assert text.startswith("% try: xavier_uniform init")
    assert r"\toprule" in text
    assert r"6 & post\_ln & 2 & 0.310 $\pm$ 0.014 &" in text
    body = [line for line in text.splitlines() if not line.startswith("%")]
    assert sum(line.endswith(r"\\") for line in body) == 10
    assert not any("_" in line.replace(r"\_", "") or "%" in line.replace(r"\%", "") for line in body)


@pytest.mark.slow
def test_parquet_has_the_tables_with_the_swept_keys(sweep: Path, tmp_path: Path) -> None:
    frame = load_runs(sweep)
    written = parquet(frame, tmp_path / "out")
    assert {path.name for path in written} == {"runs.parquet", "curves.parquet", "layers.parquet"}
    runs, layers = (pd.read_parquet(tmp_path / "out" / f"{name}.parquet") for name in ("runs", "layers"))
    assert len(runs) == len(frame)
    assert set(layers["folder"]) <= set(runs["folder"])
    assert {"depth", "variant", "seed"} <= set(layers)
    assert layers["value"].map(math.isnan).any()  # of the diverged run: nothing is dropped


def test_columns_of_mixed_types_are_text(make_sweep: Callable[..., Path], tmp_path: Path) -> None:
    frame = load_runs(make_sweep(depth=[1], variant=["post_ln"], warmup=["10%", 40]))
    parquet(frame, tmp_path / "out")
    assert pd.read_parquet(tmp_path / "out" / "runs.parquet")["warmup"].tolist() == ["10%", "40"]


def test_a_file_in_the_way_is_one_sentence(sweep: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(ConfigError, match="--parquet must be"):
        parquet(load_runs(sweep), tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"
