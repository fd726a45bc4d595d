from pathlib import Path

import pytest

from normexp.records.reading import read_sweep
from normexp.records.samples import GRAPH, NAME, Sample, read_graph, read_samples, write_samples
from tests.support.damage import DAMAGES


def test_samples_are_read_back(tmp_path: Path) -> None:
    written = [Sample("5 мая", "le 5 mai", "le 6 mai"), Sample("", "a\nb", "")]
    write_samples(tmp_path, written)
    assert read_samples(tmp_path) == written
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


@pytest.mark.parametrize("content", ["", "[", "{}", "[1]", '[{"given": "a"}]'])
def test_what_cannot_be_read_is_no_sample(content: str, tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(content)
    assert read_samples(tmp_path) == []


def test_a_run_without_samples_has_none(tmp_path: Path) -> None:
    assert read_samples(tmp_path) == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_no_damage_stops_those_who_read(damage: str, tmp_path: Path) -> None:
    """A file of a terabyte took all memory once, and a FIFO would be waited for."""
    run = tmp_path / "results" / "try" / "run"
    run.mkdir(parents=True)
    write_samples(run, [Sample("a", "b", "c")])
    (run / GRAPH).write_text("h = x")
    (run / "sweep.json").write_text("{}")
    for name in (NAME, GRAPH, "sweep.json"):
        DAMAGES[damage](run / name)
    assert isinstance(read_samples(run), list)
    assert isinstance(read_graph(run), str)
    assert isinstance(read_sweep(run), dict)
