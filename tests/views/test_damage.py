"""A damaged folder is one run's affair: every reader names it and shows all other runs."""

import csv
import io
import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from normexp import library
from normexp.cli import app
from normexp.config.identity import IDENTITY_VERSION
from normexp.errors import ConfigError
from normexp.records.intact import sealing
from normexp.views.runs import load_runs, load_table
from tests.support.damage import DAMAGES

FILES = ("status.json", "config.yaml", "curves.parquet", "layers.parquet")


@pytest.fixture
def damaged(make_sweep, monkeypatch, tmp_path) -> Path:
    """A sweep of two runs, the first of which the test damages."""
    monkeypatch.chdir(tmp_path)
    sweep = make_sweep("results/try", depth=[6, 12], variant=["post_ln"])
    for path in sweep.glob("*/*"):
        with sealing(path) as temporary:  # as the run itself writes it
            temporary.write_bytes(path.read_bytes())
    return sweep


def normexp(*words: str) -> Result:
    return CliRunner().invoke(app, list(words), env={"COLUMNS": "250"}, catch_exceptions=False)


def first(sweep: Path) -> Path:
    return min(sweep.glob("*/"))


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("damage", DAMAGES)
def test_results_name_a_damaged_run(damage, file, damaged):
    DAMAGES[damage](first(damaged) / file)
    done = normexp("results", str(damaged))
    assert done.exit_code == 0
    assert "depth" in done.output
    if (damage, file) != ("flip_a_byte", "status.json"):  # that may hit a digit
        assert f"damaged: {first(damaged).name}: {file} " in done.output
        assert "run the sweep again to repair it" in done.output
    rows = list(csv.DictReader(io.StringIO(normexp("results", str(damaged), "--csv").output)))
    assert len(rows) == 2
    assert rows[1]["state"] == "completed"
    if (damage, file) != ("flip_a_byte", "status.json"):
        assert rows[0]["state"] == "damaged"
        assert rows[0]["final_loss"] == ""
    assert set(load_table(load_runs(damaged), "curves")["depth"]) >= {12}


@pytest.mark.parametrize(("damage", "file"), [("random_bytes", "status.json"), ("cut_in_half", "curves.parquet"),
                                              ("fifo", "config.yaml"), ("empty", "layers.parquet")])  # fmt: skip
@pytest.mark.slow
@pytest.mark.usefixtures("svg_alone")
def test_figures_are_drawn_of_the_others(damage, file, damaged):
    DAMAGES[damage](first(damaged) / file)
    done = normexp("figures", str(damaged))
    assert done.exit_code == 0
    assert "loss_curves" in done.output


@pytest.mark.slow
@pytest.mark.usefixtures("svg_alone")
def test_a_run_without_settings_is_no_configuration_of_its_own(damaged):
    """It was a panel "depth none" once, and took all settings out of the headings of the others."""
    (first(damaged) / "config.yaml").write_text("{")
    (first(damaged) / "provenance.json").write_text('[{"packages": 3, "git": "x"}]')
    assert normexp("figures", str(damaged)).exit_code == 0
    drawing = (damaged / "figures" / "loss_curves.svg").read_text()
    assert "depth 12" in drawing
    assert "none" not in drawing.partition("<metadata>")[0] + drawing.partition("</metadata>")[2].partition("<defs")[0]
    assert normexp("report", str(damaged)).exit_code == 0
    page = (damaged / "report.html").read_text()
    assert "1 run, seed 0" in page
    assert f"damaged: {first(damaged).name}" in page


@pytest.mark.parametrize("file", ["config.yaml", "status.json"])
def test_every_command_ends_well_where_every_run_is_damaged(file, damaged):
    for run in damaged.glob("*/"):
        (run / file).write_text("{")
    for words in ([], ["--markdown"], ["--latex"]):
        assert normexp("results", str(damaged), *words).exit_code == 0
    drawn = normexp("figures", str(damaged))
    assert (drawn.exit_code, len(drawn.stderr.strip().splitlines())) == (2, 1)
    assert normexp("report", str(damaged)).exit_code == 0
    compared = normexp("compare", str(damaged), str(damaged.parent))
    assert compared.exit_code == 2
    assert f"every run in {damaged} is damaged" in compared.stderr


@pytest.mark.parametrize("file", ["status.json", "config.yaml"])
@pytest.mark.parametrize("damage", [name for name in DAMAGES if name != "flip_a_byte"])
def test_loading_a_damaged_run_is_one_sentence(damage, file, damaged):
    DAMAGES[damage](first(damaged) / file)
    with pytest.raises(ConfigError, match=f"{file}|damaged"):
        library.load(first(damaged))


def test_a_damaged_sweep_file_is_ignored(damaged):
    (damaged / "sweep.json").write_text('{"swept": 3')
    assert len(load_runs(damaged)) == 2


def test_only_damaged_runs_are_a_table_too(damaged):
    for run in damaged.glob("*/"):
        (run / "config.yaml").write_bytes(b"\0")
    done = normexp("results", str(damaged))
    assert done.exit_code == 0
    assert done.output.count("config.yaml is not valid YAML") == 2


def test_deep_runs_are_found_and_links_not_followed(damaged, tmp_path):
    (tmp_path / "a/b/c").mkdir(parents=True)
    shutil.copytree(damaged, tmp_path / "a/b/c/try")
    (tmp_path / "a/loop").symlink_to(tmp_path / "a", target_is_directory=True)
    assert len(load_runs(tmp_path / "a")) == 2


def test_an_older_format_is_named(damaged):
    path = first(damaged) / "status.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": IDENTITY_VERSION - 1}))
    said = normexp("results", str(damaged)).output
    assert f"older format: {first(damaged).name}: recorded in the older format {IDENTITY_VERSION - 1};" in said
    with pytest.raises(ConfigError, match="older format"):
        library.load(first(damaged))


HOSTILE = "\x1b]0;title\x07\x1b[31m[red]=cmd|' /C calc'!A0\u202e"


@pytest.mark.slow
@pytest.mark.usefixtures("svg_alone")
def test_nothing_from_a_folder_reaches_the_terminal_unescaped(damaged):
    (damaged / "sweep.json").unlink()
    hostile = first(damaged).rename(first(damaged).with_name(f"x\x1b[31m[bold]y{first(damaged).name}"))
    status = json.loads((hostile / "status.json").read_text()) | {"state": "failed", "error": HOSTILE, "=1+1": HOSTILE}
    (hostile / "status.json").write_text(json.dumps(status))
    with (hostile / "config.yaml").open("a") as config:
        config.write('zz: "=1+1"\nname: "\\e[31m"\n')
    for words in ([], ["--csv"], ["--markdown"]):
        said = normexp("results", str(damaged.parent), *words).output
        assert not set(said) & set("\x1b\x07\u202e")
    other = next(path for path in damaged.glob("*/") if path != hostile)
    (other / "graph.txt").write_text(f"decoder layer 1\n  {HOSTILE}\n")
    (damaged.parent / "published").mkdir()
    table = damaged.parent / "published" / "runs.csv"
    table.write_text(
        f'state,outcome,final_loss,folder,variant,diverged_at\ncompleted,diverged,1,a/b,"{HOSTILE}",soon\n'
    )
    for words in (["results", str(table.parent)], ["figures", str(damaged)], ["compare", str(other), str(damaged)]):
        done = normexp(*words)
        assert done.exit_code == 0
        assert not set(done.output) & set("\x1b\x07\u202e")
    rows = list(csv.reader(io.StringIO(normexp("results", str(damaged), "--csv").output)))
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@"))]
    assert "[bold]" in normexp("results", str(damaged)).output  # no markup either
