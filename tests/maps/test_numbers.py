"""The numbers of a map, from tables of runs whose answer is known."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from normexp.maps import numbers


@pytest.fixture
def runs(tmp_path):
    """Two variants at three depths: one trains everywhere and wants half the rate at twice the depth; the other ends
    at depth 6."""
    (tmp_path / "sweep.json").write_text(json.dumps({"swept": ["variant", "depth", "lr", "seed"], "runs": []}))
    rows = []
    for variant, reach in (("easy", 99), ("hard", 6)):
        for depth in (3, 6, 12):
            best = 3e-3 * 3 / depth
            for seed in (100, 0, 1, 2, 3, 4):
                for k in (-1, 0, 1) if seed == 100 else (0,):
                    trains = depth <= reach
                    loss = 2 + 0.1 * k * k + 0.01 * (seed % 100) if trains else 3.1
                    rows.append(
                        {
                            **{"variant": variant, "depth": depth, "lr": best * 2.0**k, "seed": seed},
                            **{"outcome": "trained" if trains else "stuck", "valid_loss": loss, "data": "docstrings"},
                            **{"baseline.floor": 0.0, "baseline.blind": 3.0, "state": "completed", "step": 100},
                            "folder": str(tmp_path / f"{variant}{depth}{seed}{k}"),
                        }
                    )
    return pd.DataFrame(rows)


def points_of(runs):
    return numbers.points(numbers.losses(runs))


def test_a_point_has_its_best_rate_and_an_interval(runs):
    point = points_of(runs).set_index(["variant", "depth"]).loc["easy", 6]
    losses = [2 + 0.01 * seed for seed in range(5)]
    low, high = stats.t.interval(0.95, 4, np.mean(losses), stats.sem(losses))
    assert (point["interior"], point["n"]) == (True, 5)
    assert (point["lr"], point["lr_fitted"]) == pytest.approx((1.5e-3, 1.5e-3))
    assert (point["loss"], point["low"], point["high"]) == pytest.approx((np.mean(losses), low, high))
    assert (point["outcomes"], point["total_steps"]) == ("trained 5", 800)


def test_a_window_has_a_width_only_where_both_ends_are_worse(runs):
    assert points_of(runs).set_index(["variant", "depth"]).loc["easy", "window"].isna().all()
    runs.loc[(runs["seed"] == 100) & (runs["valid_loss"] > 2.05), "valid_loss"] = 2.5
    windows = points_of(runs).set_index(["variant", "depth"])["window"]
    assert windows["easy"].tolist() == [1, 1, 1]
    assert windows["hard"].tolist()[2] == 0


def test_the_tuning_seed_is_in_no_reported_loss(runs):
    runs.loc[runs["seed"] == 100, "valid_loss"] -= 1
    again = points_of(runs)
    assert again["loss"].max() == pytest.approx(3.1)
    assert again["loss"].min() == pytest.approx(2.02)


def test_depth50_is_between_the_last_that_trains_and_the_next(runs):
    found = numbers.variants(points_of(runs)).set_index("variant")
    assert found.loc["easy", "depth50"] == math.inf
    assert found.loc["hard", "deepest_trained"] == 6
    assert found.loc["hard", "depth50"] == pytest.approx(math.sqrt(6 * 12))
    low, high = numbers.depth50_ends(found)
    assert (low["hard"], high["hard"]) == pytest.approx((6, 12))
    assert high["easy"] == math.inf


def test_depth50_is_unknown_where_a_depth_in_between_has_no_seeds(runs):
    points = points_of(runs)
    points.loc[(points["variant"] == "hard") & (points["depth"] == 6), ["trained", "loss"]] = math.nan
    assert math.isnan(numbers.variants(points).set_index("variant").loc["hard", "depth50"])


def test_a_rate_that_halves_with_depth_drifts_by_minus_one(runs):
    found = numbers.variants(points_of(runs)).set_index("variant")
    assert found.loc["easy", "drift"] == pytest.approx(-1)
    assert found.loc["easy", ["drift_low", "drift_high"]].tolist() == pytest.approx([-1, -1])
    assert math.isnan(found.loc["hard", "drift"])


def test_the_parabola_finds_a_minimum_between_two_rates(runs):
    here = (runs["variant"] == "easy") & (runs["depth"] == 3) & (runs["seed"] == 100)
    exponent = np.log2(runs.loc[here, "lr"] / 3e-3)
    runs.loc[here, "valid_loss"] = 2 + (exponent - 0.25) ** 2
    point = points_of(runs).set_index(["variant", "depth"]).loc["easy", 3]
    assert point["lr"] == pytest.approx(3e-3)
    assert point["lr_fitted"] == pytest.approx(3e-3 * 2**0.25)


def test_a_seed_that_diverged_gives_no_mean_over_the_others(runs):
    one = (runs["variant"] == "easy") & (runs["depth"] == 3) & (runs["seed"] < 3)
    runs.loc[one, ["outcome", "valid_loss"]] = ["diverged", None]
    point = points_of(runs).set_index(["variant", "depth"]).loc["easy", 3]
    assert point["loss"] == math.inf
    assert point["outcomes"] == "diverged 3, trained 2"


def test_every_corpus_is_a_point_of_its_own(runs):
    other = runs.assign(data="grammar", valid_loss=runs["valid_loss"] + 1, folder=runs["folder"] + "b")
    points = points_of(pd.concat([runs, other], ignore_index=True))
    at = points.set_index(["variant", "depth", "data"])["loss"]
    assert len(at) == 2 * len(points_of(runs))
    assert at["easy", 6, "grammar"] == pytest.approx(at["easy", 6, "docstrings"] + 1)
    assert numbers.variants(points)["data"].tolist() == ["docstrings", "docstrings", "grammar", "grammar"]


def test_one_depth_that_was_not_swept_is_a_column_all_the_same(runs, tmp_path):
    (tmp_path / "sweep.json").write_text(json.dumps({"swept": ["variant", "lr", "seed"], "runs": []}))
    points = points_of(runs[runs["depth"] == 6])
    assert list(points.columns[:3]) == ["variant", "depth", "data"]
    assert numbers.variants(points)["depths"].tolist() == ["6", "6"]


def test_numbers_of_steps_can_be_an_axis(runs, tmp_path):
    (tmp_path / "sweep.json").write_text(json.dumps({"swept": ["variant", "depth", "steps", "lr", "seed"], "runs": []}))
    twice = pd.concat([runs.assign(steps=100), runs.assign(steps=200, step=200)], ignore_index=True)
    points = points_of(twice)
    assert points["steps"].unique().tolist() == [100, 200]
    assert points["total_steps"].unique().tolist() == [800, 1600]
    assert numbers.further_keys(points) == ["steps"]
