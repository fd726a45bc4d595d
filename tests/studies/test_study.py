"""The grid of a study: its parts, their lines, and a learning rate chosen from runs."""

import math

import pandas as pd
import pytest

from normexp.launch import Composer, combinations
from normexp.reproduce import load, studies
from normexp.schema import BadInput
from normexp.studies.study import SIZES, best_lr, parts_of


def test_a_line_is_what_a_person_would_type():
    grid = {"one": {"command": "probe", "line": "depth=6,8 'seed=range(3)'", "quick": "variant=post_ln"}}
    part = parts_of(grid, "quick")["one"]
    assert part.line == ("depth=6,8", "seed=range(3)", "variant=post_ln")
    assert str(part) == "normexp probe depth=6,8 'seed=range(3)' variant=post_ln"
    assert parts_of(grid, "full") == {}


def test_keys_are_replaced():
    grid = {"one": {"command": "sweep", "line": "depth=6 lr=1e-3,2e-3", "full": None}}
    part = parts_of(grid, "full")["one"].with_keys("two", lr=1e-4, steps=10)
    assert part.name == "two"
    assert part.line == ("depth=6", "lr=0.0001", "steps=10")


@pytest.mark.parametrize("about", [{"command": "train", "quick": ""}, {"quick": ""}, {"command": "probe", "lines": ""}])
def test_a_part_that_is_written_wrongly_is_refused(about):
    with pytest.raises(BadInput, match="study part one"):
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


@pytest.mark.parametrize("name", sorted(studies()))
@pytest.mark.parametrize("size", SIZES)
def test_every_part_of_every_study_composes(name, size):
    study, _ = load(name, size)
    for part in study.parts.values():
        composer = Composer(part.command, [])
        cells = combinations(composer.parse(part.line))
        for overrides in (cells[0], cells[-1]):
            composer.resolve(overrides)


def test_an_unknown_name_is_refused():
    with pytest.raises(BadInput, match=r"there is no such study; one of .*xiong2020"):
        load("xiong", "quick")
