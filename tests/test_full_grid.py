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


def compared(runs, search=full_grid["EXPECTED"]):
    return full_grid["compared"](runs).set_index("search").loc[search]


def test_a_smooth_loss_has_its_best_rate_found_at_the_cost_of_the_rates_that_were_asked_for():
    found = compared(grid(lambda k: 2 + 0.1 * (k + 2) ** 2))
    assert found["octaves"] == 0
    assert found["interior"]
    assert (found["rates"], found["steps"], found["steps_of_grid"]) == (5, 1000, 2200)


def test_the_search_as_it_is_now_takes_as_many_rates_as_it_moves_octaves_and_three():
    found = compared(grid(lambda k: 2 + 0.1 * (k - 2) ** 2), "best rate alone (`--best-only`)")
    assert (found["octaves"], found["rates"]) == (0, 4)


def test_a_depth_begins_where_the_shallower_one_ended():
    shallow = grid(lambda k: 2 + 0.1 * (k + 3) ** 2)
    found = compared(pd.concat([shallow.assign(depth=4), shallow]), "best rate alone (`--best-only`)")
    assert found["depth"].tolist() == [2, 4]
    assert found["rates"].tolist() == [6, 3]


def test_a_second_minimum_far_away_is_missed_and_said_to_be():
    assert compared(grid(lambda k: 1.0 if k == 5 else 2 + 0.1 * k**2))["octaves"] == -5


def test_a_run_that_is_given_up_costs_its_steps_until_then_and_counts_as_stuck():
    found = compared(grid(lambda k: 2 - 0.1 * k, given_up=(1, 2, 3, 4, 5)))
    assert found["steps"] == 2 * 200 + 150
    assert found["octaves"] == -5


@pytest.mark.parametrize(("octaves", "verdict"), [(1, "holds"), (2, "does not hold")])
def test_what_was_expected(octaves, verdict):
    found = pd.DataFrame({"octaves": [0, octaves], "steps": [500, 300], "steps_of_grid": [1100, 1100]})
    assert full_grid["verdicts"](found) == [verdict, "does not hold"]
    assert full_grid["verdicts"](found.assign(steps=300)) == [verdict, "holds"]


@pytest.mark.slow
def test_the_page_follows_from_the_published_runs():
    folder = full_grid["HERE"]
    tables = [pd.read_csv(folder / f"{name}.csv") for name in full_grid["GRIDS"]]
    found = [full_grid["compared"](table) for table in tables]
    for choices, name in zip(found, ("choices", "fresh_choices"), strict=True):
        assert choices.to_csv(index=False, lineterminator="\n") == (folder / f"{name}.csv").read_text()
    assert full_grid["page"](*found, *tables) == (folder / "full_grid.md").read_text()


@pytest.mark.parametrize(("wrong", "holds"), [(1, True), (3, False)])
def test_a_rule_may_be_wrong_once_in_a_hundred(wrong, holds):
    runs = pd.DataFrame({"given_up": [True] * 20 + [False] * 180})
    runs["outcome"] = ["partial"] * wrong + ["stuck"] * (20 - wrong) + ["trained"] * 180
    assert full_grid["_rule_holds"](runs) == holds
