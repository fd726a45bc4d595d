"""normexp results --repair: damaged folders are repaired by their own configs, or marked, and it says which."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from normexp.cli import app
from normexp.config.identity import run_name
from normexp.errors import StoppedError
from normexp.records import intact
from normexp.records.folder import RunFolder
from normexp.sweep.repair import repair
from normexp.sweep.worker import execute
from normexp.views.runs import load_runs
from tests.support.damage import DAMAGES
from tests.support.runs import tiny_config

pytestmark = pytest.mark.slow
CONFIG = ("steps=6", "record.checkpoint_every=3")


def made(path: Path, steps: int = -1) -> RunFolder:
    """A finished run, or one that was interrupted after some steps."""
    config = tiny_config(*CONFIG)
    folder = RunFolder(path / run_name(config, ()))
    folder.create(config)
    asked = iter([False] * steps + [True])
    if steps < 0:
        execute(folder.path)
    else:
        with pytest.raises(StoppedError):
            execute(folder.path, lambda: next(asked))
    return folder


@pytest.fixture(scope="module")
def templates(tmp_path_factory) -> tuple[Path, Path]:
    """A finished run, and an interrupted one with the same config."""
    path = tmp_path_factory.mktemp("runs")
    return made(path / "finished").path, made(path / "interrupted", steps=4).path


def copied(template: Path, path: Path) -> RunFolder:
    shutil.copytree(template, path / "results" / template.name)
    return RunFolder(path / "results" / template.name)


def repaired(folder: RunFolder) -> list[str]:
    said: list[str] = []
    repair([folder.path], said.append)
    return said


@pytest.mark.parametrize(("file", "damage"), [("curves.parquet", "flip_a_byte"), ("status.json", "fifo")])
def test_a_complete_run_is_run_again_to_the_same_bytes(file, damage, templates, tmp_path):
    folder = copied(templates[0], tmp_path)
    DAMAGES[damage](folder.path / file)
    if damage == "flip_a_byte":  # its size and time are as they were: a copy that is compared by content
        (folder.path / file).touch()
    first, last = repaired(folder)
    assert first.startswith(f"{folder.name}: {file} ")
    assert first.endswith("; running it again")
    assert last == f"{folder.name}: repaired"
    assert folder.finished
    for table in ("curves.parquet", "layers.parquet"):
        assert (folder.path / table).read_bytes() == (templates[0] / table).read_bytes()
    assert repaired(folder) == []


def test_a_run_without_status_resumes_from_its_checkpoint(templates, tmp_path):
    folder = copied(templates[1], tmp_path)
    DAMAGES["cut_in_half"](folder.path / "status.json")
    expected = f"{folder.name}: status.json is not valid JSON; marked as interrupted: its sweep continues it from the "
    assert repaired(folder) == [expected + "checkpoint"]
    assert folder.status["state"] == "interrupted"
    execute(folder.path)
    assert "resumed after step 4" in folder.log.read_text()
    assert (folder.path / "curves.parquet").read_bytes() == (templates[0] / "curves.parquet").read_bytes()


def test_an_interrupted_run_without_checkpoint_is_pending(templates, tmp_path):
    folder = copied(templates[1], tmp_path)
    DAMAGES["cut_in_half"](folder.checkpoint)
    (said,) = repaired(folder)
    assert said.endswith("marked as pending: its sweep runs it from step 1")
    assert folder.status["state"] == "pending"
    assert not folder.checkpoint.exists()


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "config.yaml is empty, which says what the run is"), (None, "its name does not have the digest of")],
)
def test_a_run_whose_config_is_lost_is_marked_as_failed(text, reason, templates, tmp_path):
    folder = copied(templates[0], tmp_path)
    path = folder.path / "config.yaml"
    path.write_text(path.read_text().replace("depth: 1", "depth: 2") if text is None else text)
    DAMAGES["empty"](folder.path / "layers.parquet")
    (said,) = repaired(folder)
    assert f"; marked as failed: {reason}" in said
    assert folder.status["state"] == "failed"
    assert "it cannot be repaired" in folder.status["error"]
    assert (folder.path / "curves.parquet").read_bytes() == (templates[0] / "curves.parquet").read_bytes()


def test_an_older_format_is_not_run_again(templates, tmp_path):
    folder = copied(templates[0], tmp_path)
    status = json.loads((folder.path / "status.json").read_text())
    (folder.path / "status.json").write_text(json.dumps(status | {"format": 1}))
    DAMAGES["empty"](folder.path / "curves.parquet")
    (said,) = repaired(folder)
    assert said.endswith("marked as failed: it was recorded in the older format 1")


def test_a_run_that_is_being_run_is_left_alone(templates, tmp_path):
    folder = copied(templates[0], tmp_path)
    DAMAGES["empty"](folder.path / "curves.parquet")
    with folder.lock():
        (said,) = repaired(folder)
    assert said.endswith("a process is running it now, so it is left alone")
    assert folder.status["state"] == "completed"


def test_the_command_says_what_it_does_and_prints_the_table(templates, tmp_path):
    folder = copied(templates[1], tmp_path)
    DAMAGES["remove"](folder.path / "status.json")
    before = {path: path.stat().st_mtime_ns for path in folder.path.iterdir()}
    line = ["results", str(tmp_path / "results")]
    assert "normexp results --repair" in CliRunner().invoke(app, line, env={"COLUMNS": "300"}).stdout
    assert {path: path.stat().st_mtime_ns for path in folder.path.iterdir()} == before
    done = CliRunner().invoke(app, [*line, "--repair"], env={"COLUMNS": "300"})
    assert done.exit_code == 0
    assert "status.json is missing; marked as interrupted" in done.stderr
    assert "interrupted" in done.stdout
    assert "damaged" not in done.stdout


@pytest.mark.parametrize("text", ["seed: 2001-01-01", "config_dirs: [3]", "variant: {name: post_ln}"])
def test_a_config_that_means_nothing_marks_its_run_alone(text, templates, tmp_path):
    """Although it is valid YAML, and was sealed."""
    folder, sound = (copied(template, tmp_path / name) for name, template in zip("ab", templates, strict=True))
    with intact.sealing(folder.path / "config.yaml") as temporary:
        temporary.write_text(f"{text}\n")
    (folder.path / "curves.parquet").write_bytes(b"")
    said = repaired(folder)
    assert folder.status["state"] == "failed", said
    assert sound.status["state"] == "interrupted"


def test_a_run_that_starts_again_has_none_of_its_old_results(templates, tmp_path):
    folder = copied(templates[0], tmp_path)
    folder.update(state="running")
    (folder.path / "checkpoint.pt").write_bytes(b"cut")
    repaired(folder)
    assert folder.status["state"] in ("pending", "interrupted")
    row = load_runs(folder.path).iloc[0]
    assert row["outcome"] is None or row["outcome"] != row["outcome"]


def test_the_seal_of_the_config_outlives_the_first_attempt(templates, tmp_path):
    folder = copied(templates[0], tmp_path)
    text = (folder.path / "config.yaml").read_text()
    (folder.path / "config.yaml").write_text("".join(text.splitlines(keepends=True)[:6]))
    row = load_runs(folder.path).iloc[0]
    assert row["state"] == "damaged"
    assert row["error"].startswith("config.yaml has")
