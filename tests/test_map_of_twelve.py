"""The map of twelve variants, and what the start predicts of it: verdicts, and pages that follow from their tables."""

import math
import runpy
from pathlib import Path

import pandas as pd
import pytest

from normexp.maps import numbers
from normexp.maps.survey import survey
from normexp.sweep.plan import plan

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "results" / "reference"
twelve = runpy.run_path(str(ROOT / "scripts" / "twelve.py"))
predictors = runpy.run_path(str(ROOT / "scripts" / "predictors.py"))


def a_map(slopes, trained, interior=True):
    """Points at depth 24 and slopes with their intervals, for the variants of which something was expected."""
    names = ("post_ln", "pre_ln", "deep_norm", "admin")
    points = [
        {"variant": name, "depth": 24, "interior": interior, "outcomes": "some", "trained": trained[name]}
        for name in names
    ]
    columns = ("drift", "drift_low", "drift_high")
    drifts = [{"variant": name} | dict(zip(columns, slopes.get(name, (math.nan,) * 3), strict=True)) for name in names]
    return pd.DataFrame(points), pd.DataFrame(drifts)


def verdicts(*made):
    return {name: verdict for name, _, verdict in twelve["claims"](*made)}


def test_what_was_expected_holds_where_it_is_so():
    slopes = {"post_ln": (-1.0, -1.5, -0.5), "deep_norm": (0.0, -0.1, 0.1)}
    assert set(verdicts(*a_map(slopes, {"post_ln": 0.2, "pre_ln": 1, "deep_norm": 1, "admin": 0.6})).values()) == {
        "holds"
    }


def test_and_does_not_hold_where_it_is_not():
    slopes = {"post_ln": (1.0, 0.5, 1.5), "deep_norm": (-1.0, -1.5, -0.5)}
    assert set(verdicts(*a_map(slopes, {"post_ln": 1, "pre_ln": 0.4, "deep_norm": 0, "admin": 0})).values()) == {
        "does not hold"
    }


def test_intervals_over_an_edge_and_missing_slopes_are_no_verdict():
    trained = {"post_ln": 0, "pre_ln": 1, "deep_norm": 1, "admin": 1}
    found = verdicts(*a_map({"post_ln": (-0.5, -1.5, 0.5)}, trained))
    assert found["post-rate-falls"] == "cannot tell"
    assert found["deep-norm-rate-flat"] == "cannot be tested"


def test_a_rate_on_the_edge_is_no_best_rate():
    found = verdicts(*a_map({}, dict.fromkeys(("post_ln", "pre_ln", "deep_norm", "admin"), 1), interior=False))
    assert set(found.values()) == {"cannot be tested"}


@pytest.mark.slow
def test_seeds_that_are_trained_apart_are_those_of_the_map():
    """They had another schedule once, which is no part of the overrides of a map."""
    asked = survey(["variant=pre_ln", "depth=3", *twelve["TRAINING"], "lr=3e-3", "training.stop_stuck=50%"])
    (point,) = asked.points
    planned = plan("sweep", twelve["seeds_of"]("pre_ln", 3, 12e-3)).runs
    assert [run.config for run in planned] == [run.config for run in asked.final[point][2]]


@pytest.mark.parametrize(("sign", "mean"), [(1, 1.0), (-1, -1.0)])
def test_a_measure_that_orders_all_variants_has_tau_1(sign, mean):
    values = pd.DataFrame({"value": range(8), "loss": range(8)}, index=list("abcdefgh"))
    assert predictors["pseudo_values"](values, sign) == pytest.approx([mean] * 8)


def test_pseudo_values_have_the_jackknife_error():
    """Their spread is that of τ without one variant, times n − 1."""
    values = pd.DataFrame({"value": [1, 2, 3, 4, 5, 6], "loss": [2, 1, 4, 3, 6, 5]}, index=list("abcdef"))
    whole = predictors["tau"](values, 1)
    without = [predictors["tau"](values.drop(index=name), 1) for name in values.index]
    assert predictors["pseudo_values"](values, 1) == pytest.approx([6 * whole - 5 * each for each in without])


@pytest.mark.slow
def test_the_page_and_all_numbers_follow_from_the_published_runs():
    folder = REFERENCE / "map"
    points, variants, runs, rule = (
        pd.read_csv(folder / f"{name}.csv") for name in ("points", "variants", "runs", "rule")
    )
    assert twelve["page"](points, variants, runs, rule, twelve["origin"]()) == (folder / "map.md").read_text()
    again = numbers.points(runs)
    assert again.to_csv(**twelve["CSV"]) == (folder / "points.csv").read_text()
    assert numbers.variants(again).to_csv(**twelve["CSV"]) == (folder / "variants.csv").read_text()


def test_what_the_start_predicts_follows_from_the_published_measures():
    folder = REFERENCE / "predictors"
    measures = pd.read_csv(folder / "measures.csv")
    found = predictors["compared"](measures)
    text = found.to_csv(index=False, lineterminator="\n", float_format="%.4g")
    assert text == (folder / "predictors.csv").read_text()
    assert text == (ROOT / "normexp" / "cards" / "reference" / "predictors.csv").read_text()
    assert predictors["page"](found, measures) == (folder / "predictors.md").read_text()


def some_runs(*rows):
    runs = pd.DataFrame(rows, columns=["variant", "depth", "lr", "seed", "loss"])
    return runs.assign(data="docstrings", floor=0.0, blind=3.0, outcome="trained", step=400)[
        ["variant", "depth", *numbers.COLUMNS]
    ]


def test_runs_that_are_published_again_are_there_once_and_in_the_order_of_the_map():
    known = some_runs(("pre_ln", 3, 0.003, 100, 2.0), ("post_ln", 6, 0.003, 100, 2.1), ("post_ln", 6, 0.003, 0, 2.2))
    merged = twelve["merged"](known, some_runs(("post_ln", 6, 0.003, 0, 2.2), ("post_ln", 6, 0.003, 1, 2.3)))
    assert merged["loss"].tolist() == [2.1, 2.2, 2.3, 2.0]


def test_a_point_that_is_searched_again_has_one_search_and_seeds_at_its_best_rate():
    known = some_runs(("post_ln", 6, 0.003, 100, 2.1), ("post_ln", 6, 0.003, 0, 2.2), ("pre_ln", 6, 0.003, 100, 1.9))
    same = twelve["merged"](known, some_runs(("post_ln", 6, 0.003, 100, 1.7), ("post_ln", 6, 0.006, 100, 1.8)))
    assert same["loss"].tolist() == [1.7, 1.8, 2.2, 1.9]
    other = twelve["merged"](known, some_runs(("post_ln", 6, 0.003, 100, 1.8), ("post_ln", 6, 0.006, 100, 1.7)))
    assert other["loss"].tolist() == [1.8, 1.7, 1.9]


@pytest.mark.slow
def test_a_run_with_other_settings_is_not_published(tmp_path):
    """105 runs of another schedule once were about to be."""
    runs = pd.DataFrame([{"variant": "pre_ln", "depth": 3, "lr": 0.003, "seed": 100, "folder": str(tmp_path)}])
    with pytest.raises(SystemExit, match="is no run of the map"):
        twelve["_check"](runs)


@pytest.mark.parametrize("name", ["points", "variants"])
def test_cards_have_the_tables_of_the_map(name):
    shipped = ROOT / "normexp" / "cards" / "reference" / f"{name}.csv"
    assert shipped.read_text() == (REFERENCE / "map" / f"{name}.csv").read_text()
