"""The search of a map replayed on a full grid: what it sees, what it costs, what it is compared with."""

import runpy
from pathlib import Path

import pandas as pd
import pytest

from normexp.maps.survey import EXPONENTS

full_grid = runpy.run_path(str(Path(__file__).parents[1] / "scripts" / "full_grid.py"))


def grid(loss, given_up=(), stuck=()):
    """A grid at one point. loss: of an exponent."""
    rows = [
        {
            **{"variant": "post_ln", "depth": 2, "lr": 3e-3 * 2.0**k, "loss": loss(k), "floor": 0.0, "blind": 3.0},
            **{"outcome": "stuck" if k in stuck else "trained", "given_up": k in given_up, "step": 200},
        }
        for k in EXPONENTS
    ]
    return pd.DataFrame(rows)


def compared(runs, search="three rates at first"):
    return full_grid["compared"](runs, full_grid["GRIDS"]["First"]).set_index("search").loc[search]


def test_a_smooth_loss_has_its_best_rate_found_at_the_cost_of_the_rates_that_were_asked_for():
    found = compared(grid(lambda k: 2 + 0.1 * (k + 2) ** 2))
    assert found["octaves"] == 0
    assert found["interior"]
    assert (found["rates"], found["steps"], found["steps_of_grid"]) == (5, 1000, 2200)


def test_the_search_as_it_is_now_takes_as_many_rates_as_it_moves_octaves_and_three():
    found = compared(grid(lambda k: 2 + 0.1 * (k - 2) ** 2), "down to the lowest rate")
    assert (found["octaves"], found["rates"]) == (0, 4)


def test_a_depth_begins_where_the_shallower_one_ended():
    shallow = grid(lambda k: 2 + 0.1 * (k + 3) ** 2)
    found = compared(pd.concat([shallow.assign(depth=4), shallow]), "down to the lowest rate")
    assert found["depth"].tolist() == [2, 4]
    assert found["rates"].tolist() == [6, 3]


def test_a_second_minimum_far_away_is_missed_and_said_to_be():
    assert compared(grid(lambda k: 1.0 if k == 5 else 2 + 0.1 * k**2))["octaves"] == -5


def test_a_run_that_is_given_up_costs_its_steps_until_then_and_counts_as_stuck():
    found = compared(grid(lambda k: 2 - 0.1 * k, given_up=(1, 2, 3, 4, 5)))
    assert found["steps"] == 2 * 200 + 150
    assert found["octaves"] == -5


@pytest.mark.parametrize(
    ("search", "rates"),
    [("three rates at first", 7), ("two rates at first", 7), ("lower rates first", 6), ("down to the lowest rate", 6)],
)
def test_lower_rates_first_saves_the_runs_above_that_would_be_stuck(search, rates):
    found = compared(grid(lambda k: abs(k + 3), stuck=range(-2, 6)), search)
    assert (found["octaves"], found["rates"]) == (0, rates)


@pytest.mark.parametrize(
    ("search", "rates"), [("two rates at first", 6), ("lower rates first", 6), ("down to the lowest rate", 8)]
)
def test_where_nothing_learns_the_earlier_searches_stopped_at_an_eighth_of_the_start(search, rates):
    assert compared(grid(lambda k: 3.0 + 0.001 * abs(k), stuck=EXPONENTS), search)["rates"] == rates


def verdicts(wrong=0, **changes):
    grids = full_grid["GRIDS"]
    choices = pd.DataFrame({"octaves": [0, 0], "steps": [500, 200], "steps_of_grid": [1100, 1100]} | changes)
    runs = pd.DataFrame({"given_up": [True] * 20 + [False] * 180})
    runs["outcome"] = ["partial"] * wrong + ["stuck"] * (20 - wrong) + ["trained"] * 180
    third = choices.assign(seed=grids["Third"].seed, search=grids["Third"].search)
    return full_grid["verdicts"](third, "Third", {"Third": runs})


def test_what_was_expected():
    assert verdicts() == ["holds", "holds", "holds"]
    assert verdicts(octaves=[0, 1], wrong=2) == ["holds", "holds", "holds"]
    assert verdicts(octaves=[0, -2]) == ["does not hold", "holds", "holds"]
    assert verdicts(steps=[500, 300]) == ["holds", "does not hold", "holds"]
    assert verdicts(wrong=3) == ["holds", "holds", "does not hold"]


@pytest.mark.slow
def test_the_page_follows_from_the_published_runs():
    folder = full_grid["HERE"]
    runs = {name: pd.read_csv(folder / f"{asked.table}.csv") for name, asked in full_grid["GRIDS"].items()}
    choices = pd.concat([full_grid["compared"](table, full_grid["GRIDS"][name]) for name, table in runs.items()])
    assert choices.to_csv(index=False, lineterminator="\n") == (folder / "choices.csv").read_text()
    assert full_grid["page"](choices, runs) == (folder / "full_grid.md").read_text()
