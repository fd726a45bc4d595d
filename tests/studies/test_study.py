"""The grid of a study: its parts, their lines, and a learning rate chosen from runs."""

import math
from dataclasses import replace

import pandas as pd
import pytest

from normexp.errors import ConfigError
from normexp.studies import report
from normexp.studies.runner import load, studies
from normexp.studies.study import SIZES, Part, best_lr, parts_of
from normexp.sweep.plan import plan
from tests.support.synthetic import Made
from tests.support.worlds import WORLDS


def test_a_line_is_what_a_person_would_type():
    grid = {"one": {"command": "probe", "overrides": "depth=6,8 'seed=range(3)'", "quick": "variant=post_ln"}}
    part = parts_of(grid, "quick")["one"]
    assert part.overrides == ("depth=6,8", "seed=range(3)", "variant=post_ln")
    assert str(part) == "normexp probe depth=6,8 'seed=range(3)' variant=post_ln"
    assert parts_of(grid, "full") == {}


def test_keys_are_replaced():
    grid = {"one": {"command": "sweep", "overrides": "depth=6 lr=1e-3,2e-3", "full": None}}
    part = parts_of(grid, "full")["one"].with_keys("two", lr=1e-4, steps=10)
    assert part.name == "two"
    assert part.overrides == ("depth=6", "lr=0.0001", "steps=10")


@pytest.mark.parametrize(
    "about",
    [
        {"command": "train", "quick": ""},
        {"quick": ""},
        {"command": "probe", "lines": ""},
        {"command": "probe", "overrides": 3, "quick": ""},
        {"command": "probe", "quick": ["depth=3"]},
        {"command": "probe", "quick": "depth='3"},
        "probe",
        None,
    ],
)
def test_a_part_that_is_written_wrongly_is_refused(about):
    with pytest.raises(ConfigError, match="study part one"):
        parts_of({"one": about}, "quick")


def test_the_best_rate_has_the_lowest_mean_loss():
    rows = [
        ("a", 1e-3, 0, 1.0),
        ("a", 1e-3, 1, 1.0),
        ("a", 1e-2, 0, 0.1),
        ("a", 1e-2, 1, None),  # diverged
        ("b", 1e-3, 0, 0.5),
        ("b", 1e-2, 0, 0.5),
    ]
    frame = pd.DataFrame(rows, columns=["variant", "lr", "seed", "final_loss"])
    assert best_lr(frame) == {"a": 1e-3, "b": 1e-3}
    frame["final_loss"] = math.nan
    assert set(best_lr(frame)) == {"a", "b"}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(studies()))
def test_every_part_of_every_study_composes(name):
    """With one seed of each, since a seed is only a number."""
    parts = [replace(part, seeds="0") for size in SIZES for part in load(name, size)[0].parts.values()]
    for command, line in dict.fromkeys((part.command, tuple(part.line)) for part in parts):
        assert plan(command, line, many=True).runs


MINE = """
from normexp.studies.study import Study


class Mine(Study):
    def figures(self, runs):
        yield from ()

    def claims(self, runs):
        yield from ()
"""
PART = "{one: {command: probe, full: depth=1}}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "its YAML needs a _target_"),
        ("- one", "its YAML needs a _target_"),
        ("parts: [one", r"mine\.yaml is not valid YAML"),
        (f"parts: {PART}", "its YAML needs a _target_"),
        ("_target_: my_study.Mine", "parts by name"),
        ("{_target_: my_study.Mine, parts: [one]}", "parts by name"),
        (f"{{_target_: my_study.Mine, parts: {PART}, note: {{}}}}", "parts by name"),
        (f"{{_target_: my_study.Mine, parts: {PART}, notes: none}}", "notes by claim"),
        (f"{{_target_: my_study.Mine, parts: {PART}, notes: {{it: 3}}}}", "notes by claim"),
        (f"{{_target_: my_study.Mine, parts: {PART}}}", "none of its parts has a quick size"),
        (f"{{_target_: my_study.Nobody, parts: {PART}}}", r"cannot import my_study\.Nobody"),
        (f"{{_target_: my_study.Study, parts: {PART}}}", r"my_study\.Study must be a Study with figures and claims"),
        (f"{{_target_: pathlib.Path, parts: {PART}}}", r"pathlib\.Path must be a Study with figures and claims"),
    ],
)
def test_a_study_that_is_written_wrongly_is_refused(text, message, tmp_path):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "mine.yaml").write_text(text)
    (tmp_path / "my_study.py").write_text(MINE)
    with pytest.raises(ConfigError, match=f"study=mine: .*{message}"):
        load("mine", "quick", [str(tmp_path)])


def test_of_two_folders_with_a_study_the_last_one_wins(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name / "study").mkdir(parents=True)
        (tmp_path / name / "study" / "mine.yaml").touch()
    folders = [str(tmp_path / name) for name in ("one", "two")]
    assert studies(folders)["mine"] == tmp_path / "two" / "study" / "mine.yaml"


@pytest.mark.slow
def test_a_study_without_figures_and_claims_leaves_its_runs(tmp_path):
    part = Part("one", "probe", ("depth=2", "variant=pre_ln"))
    report.write(
        tmp_path / "made", "Mine", "quick", {"one": part}, {"one": Made(part, WORLDS["depth_limit"]())}, [], [], {}, {}
    )
    report.publish(tmp_path / "made", tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"report.md", "one.csv", "origin.json"}


def test_an_unknown_name_is_refused():
    with pytest.raises(ConfigError, match=r"^study=xiong does not exist; did you mean xiong2020\?$"):
        load("xiong", "quick")
