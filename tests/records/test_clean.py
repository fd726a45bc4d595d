"""`normexp clean` removes what came to nothing, after listing it; `normexp doctor` describes the machine."""

import fcntl
import json
import shutil
from contextlib import ExitStack
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


def test_clean_leaves_what_was_resumed_while_it_asked(results, monkeypatch):
    """Another command holds one run by then, has put one into its queue, and has removed one."""
    resumed, queued, gone = (RunFolder(results / "try" / name) for name in ("running", "failed", "broken"))
    other = RunFolder(results / "try/other")
    other.create(tiny_config())
    other.update(state="running")
    with ExitStack() as held:

        def answer(*_: object) -> bool:
            held.enter_context(resumed.lock())
            queued.update(state="pending", error=None)
            shutil.rmtree(gone.path)
            return True

        monkeypatch.setattr("typer.confirm", answer)
        monkeypatch.setattr("normexp.records.lock.fcntl.flock", _never_waiting)
        done = CliRunner().invoke(app, ["clean", str(results)])
    assert done.exit_code == 0, done.output
    assert done.output.endswith("removed 1\nskipped 3, which another command has resumed or removed meanwhile\n")
    assert left(results) == {"pending", "completed", "running", "failed"}


def _never_waiting(file, operation, flock=fcntl.flock):
    """A lock that waits would wait for this very test."""
    flock(file, operation | fcntl.LOCK_NB)


def test_doctor_says_what_a_bug_report_needs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = CliRunner().invoke(app, ["doctor"])
    assert said.exit_code == 0
    named = dict(line.split(": ", 1) for line in said.output.splitlines())
    assert {"system", "cores", "memory", "devices", "normexp", "torch", "run format", "free disk"} <= named.keys()
    assert "GB, writable" in named["free disk"]
    assert not list(tmp_path.iterdir())


def test_clean_leaves_what_may_be_somebody_elses(tmp_path):
    """Files with our names are no proof that a folder is ours."""
    theirs = tmp_path / "project"
    theirs.mkdir()
    for name in ("config.yaml", "log.txt", "precious.py"):
        (theirs / name).write_text("theirs")
    done = CliRunner().invoke(app, ["clean", str(tmp_path), "--yes"])
    assert "nothing to remove" in done.output
    assert (theirs / "precious.py").exists()


def test_clean_removes_the_run_behind_a_link(results, tmp_path):
    (tmp_path / "link").symlink_to(results / "try/failed")
    done = CliRunner().invoke(app, ["clean", str(tmp_path / "link"), "--yes"])
    assert (done.exit_code, (results / "try/failed").exists()) == (0, False)
