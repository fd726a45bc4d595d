from pathlib import Path

import pytest

from normexp.errors import ConfigError
from normexp.views import table
from normexp.views.published import load
from normexp.views.runs import load_runs

REFERENCE = Path(__file__).parents[2] / "results" / "reference"


def test_runs_on_disk_win(sweep: Path) -> None:
    assert load(sweep).equals(load_runs(sweep))


def test_the_shipped_table_of_runs_gives_the_shipped_markdown() -> None:
    shown = table.markdown(load(REFERENCE / "main"))
    written = (REFERENCE / "main" / "table.md").read_text()

    def cells(text: str) -> list[list[str]]:
        """The rows, without regard to the order of the columns of keys."""
        return sorted(sorted(line.split(" | ")) for line in text.replace("| ", " | ").splitlines() if "±" in line)

    assert len(cells(written)) == 9
    assert cells(shown) == cells(written)
    assert shown.startswith("**main**: ")


def test_a_study_has_the_runs_of_all_its_parts() -> None:
    frame = load(REFERENCE / "xiong2020")
    parts = {Path(folder).parent.name for folder in frame["folder"]}
    assert {"warmup", "control"} <= parts
    assert "claims" not in parts


def test_a_published_table_is_what_csv_wrote(sweep: Path, tmp_path: Path) -> None:
    runs = load_runs(sweep)
    (tmp_path / "runs.csv").write_text(table.csv(runs))
    columns, rows = table.rows_of(load(tmp_path))
    assert (columns, rows) == table.rows_of(runs)


def test_a_folder_with_neither_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ConfigError, match="no run in"):
        load(tmp_path)
