"""`normexp clean` removes what came to nothing, after listing it; `normexp doctor` describes the machine."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from normexp.cli import app
from normexp.records.folder import RunFolder
from tests.support.runs import tiny_config


@pytest.fixture
def results(tmp_path) -> Path:
    """One run in each state."""
    for state in ("pending", "running", "completed", "failed"):
        folder = RunFolder(tmp_path / "results/try" / state)
        folder.create(tiny_config())
        folder.update(state=state)
    broken = RunFolder(tmp_path / "results/try/broken")
    broken.create(tiny_config())
    (broken.path / "status.json").write_text("{")
    return tmp_path / "results"


def left(results: Path) -> set[str]:
    return {path.parent.name for path in results.glob("*/*/config.yaml")}


def test_clean_lists_and_asks_before_it_removes(results):
    asked = CliRunner().invoke(app, ["clean", str(results)], input="n\n")
    assert asked.exit_code == 1
    for state, name in (("interrupted", "running"), ("failed", "failed"), ("damaged", "broken")):
        assert f"{state}: {results / 'try' / name}\n" in asked.output
    assert len(left(results)) == 5
    done = CliRunner().invoke(app, ["clean", str(results), "--yes"])
    assert (done.exit_code, left(results)) == (0, {"pending", "completed"})
    assert "nothing to remove" in CliRunner().invoke(app, ["clean", str(results)]).output


def test_clean_leaves_a_run_that_a_process_holds(results):
    held = RunFolder(results / "try/failed")
    with held.lock():
        CliRunner().invoke(app, ["clean", str(results), "--yes"])
    assert left(results) == {"pending", "completed", "failed"}
    assert json.loads((held.path / "status.json").read_text())["state"] == "failed"


def test_doctor_says_what_a_bug_report_needs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = CliRunner().invoke(app, ["doctor"])
    assert said.exit_code == 0
    named = dict(line.split(": ", 1) for line in said.output.splitlines())
    assert {"system", "cores", "memory", "devices", "normexp", "torch", "run format", "free disk"} <= named.keys()
    assert "GB, writable" in named["free disk"]
    assert not list(tmp_path.iterdir())
