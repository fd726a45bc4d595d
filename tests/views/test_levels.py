"""Baselines as lines of a figure, and when a loss is drawn as its distance from the floor."""

import pandas as pd
import pytest

from normexp.views.levels import floors, levels, on_axis, scale_of

DATES = {"unigram": 2.93, "position_only": 1.89, "target_bigram": 2.12, "blind": 1.29, "floor": 0.0, "bar": 0.64}


def frame(losses: list[float | None], **baselines: float) -> pd.DataFrame:
    columns = {f"baseline.{name}": value for name, value in baselines.items()}
    return pd.DataFrame({"final_loss": losses}).assign(**columns)


def test_levels_are_named_from_the_highest_down() -> None:
    assert levels(frame([1.0], **DATES)) == [
        ("unigram", 2.93),
        ("target bigram", 2.12),
        ("position-only", 1.89),
        ("source-blind", 1.29),
        ("bar", 0.64),
        ("floor", 0.0),
    ]


def test_baselines_of_one_value_are_one_level() -> None:
    assert levels(frame([1.0], class_prior=3.0, blind=3.0, floor=0, bar=1)) == [
        ("class prior", 3),
        ("bar", 1),
        ("floor", 0),
    ]
    assert levels(frame([1.0], target_bigram=2.1, bar=2.1)) == [("target bigram = bar", 2.1)]


def test_levels_that_differ_between_the_runs_are_left_out() -> None:
    two = pd.concat([frame([1.0], unigram=2.0, bar=1.0), frame([1.0], unigram=2.5, bar=1.0)], ignore_index=True)
    assert levels(two) == [("bar", 1)]


@pytest.mark.parametrize(
    ("losses", "regret"), [([2.0, 0.01], True), ([2.0, 0.129], True), ([2.0, 0.14], False), ([None], False)]
)
def test_regret_is_drawn_where_a_run_comes_close_to_the_floor(losses: list[float | None], regret: bool) -> None:
    scale = scale_of(frame(losses, **DATES))
    assert (scale.regret, scale.label) == (regret, "loss (nats per token)")
    assert scale.note == ("The floor is 0." if regret else "")


def test_regret_is_measured_from_a_floor_above_0() -> None:
    runs = frame([0.75, 2.0], blind=1.7, floor=0.7, bar=1.2)
    scale = scale_of(runs)
    assert scale == (True, "loss − floor (nats per token)", "The floor is 0.70.")
    assert on_axis(runs, scale) == [("source-blind", pytest.approx(1.0)), ("bar", pytest.approx(0.5))]
    assert on_axis(runs, scale_of(frame([2.0], blind=1.7, floor=0.7, bar=1.2))) == [
        ("source-blind", 1.7),
        ("bar", 1.2),
        ("floor", 0.7),
    ]


def test_runs_without_a_floor_are_drawn_as_they_are() -> None:
    runs = frame([0.01], unigram=2.93)
    assert not scale_of(runs).regret
    assert list(floors(runs)) == [0]
