"""Fits of points that lie where they should."""

import math

import numpy as np
import pandas as pd
import pytest

from normexp.errors import ConfigError
from normexp.studies.dong2021 import drop_ratio
from normexp.studies.rows import loss_curves
from normexp.studies.statistics import (
    comparable,
    differences,
    exponent,
    exponential_r_squared,
    finals,
    fits,
    line,
    paired,
    per_seed,
    r_squared,
    rate,
    ratio,
    reducible,
    relative_gap,
    spikes,
    steps_to,
    trained,
    trained_where,
    valid_loss,
)


def test_a_power_law_gives_its_exponent():
    x = np.array([2, 4, 8, 16])
    assert exponent(x, 3 * x**-0.5) == pytest.approx(-0.5)


def test_an_exponential_gives_its_rate():
    x = np.arange(5)
    assert rate(x, 0.1 * 1.4**x) == pytest.approx(math.log(1.4))


def test_r_squared():
    assert r_squared([1, 2, 3], [2, 4, 6]) == pytest.approx(1)
    assert r_squared([1, 2, 3, 4], [1, -1, 1, -1]) < 0.3
    assert r_squared([1, 2, 3], [5, 5, 5]) == 1
    assert exponential_r_squared([1, 2, 3], [2, 4, 8]) == pytest.approx(1)
    assert exponential_r_squared([1, 2, 3], [2, 4, 6]) < r_squared([1, 2, 3], [2, 4, 6])


@pytest.mark.parametrize("y", [[1.0, math.nan], [1.0, math.inf], [1.0, 0.0]])
def test_what_is_not_finite_cannot_be_told(y):
    assert math.isnan(exponent([1, 2], y))


def test_one_point_has_no_slope():
    assert math.isnan(line([1], [1])[0])
    assert math.isnan(line([1, 1], [1, 2])[0])


def test_ratio():
    assert ratio([2, 1, 4]) == 4
    assert math.isnan(ratio([0, 1]))
    assert math.isnan(ratio([]))


def test_per_seed_is_in_the_order_of_the_seeds():
    rows = pd.DataFrame({"seed": [1, 0, 1, 0], "value": [1, 2, 3, 4]})
    assert per_seed(rows, lambda part: part["value"].sum()) == [6, 4]


def test_per_seed_lets_a_diverged_seed_be_infinite():
    rows = pd.DataFrame({"seed": [0, 1, 2], "value": [2.0, 0.0, math.inf]})
    values = per_seed(rows, lambda part: 1 / part["value"].iloc[0] - 1 / part["value"].min())
    assert values[0] == values[2] == 0
    assert math.isnan(values[1])


RUNS = pd.DataFrame(
    [
        ("a", 1, "trained", 0.3, 0.4),
        ("a", 0, "partial", 0.2, 0.1),
        ("a", 2, "diverged", None, None),
        ("b", 0, "trained", 0.1, 0.2),
        ("b", 1, "diverged", 5.0, 6.0),  # to a number, if a large one
        ("b", 2, "diverged", math.nan, None),
        ("c", 0, None, None, None),  # it failed
    ],
    columns=["variant", "seed", "outcome", "final_loss", "valid_loss"],
)


def test_losses_come_by_seed_and_those_that_diverged_count():
    assert finals(RUNS, variant="a").to_dict() == {0: 0.2, 1: 0.3, 2: math.inf}
    assert finals(RUNS, variant="b").to_dict() == {0: 0.1, 1: 5.0, 2: math.inf}
    assert valid_loss(RUNS, variant="a").to_dict() == {0: 0.1, 1: 0.4, 2: math.inf}
    assert math.isnan(finals(RUNS, variant="c")[0])
    assert trained(RUNS, variant="a") == [0, 1, 0]


def test_pairs_are_of_one_seed():
    a, b, c = (finals(RUNS, variant=variant) for variant in "abc")
    assert paired(a, b) == pytest.approx([0.1, -4.7, math.nan], nan_ok=True)
    assert paired(a, c) == pytest.approx([math.nan] * 3, nan_ok=True)
    assert paired(a, pd.Series({2: 1.0}))[2] == math.inf


def test_the_step_at_which_a_mean_loss_is_reached():
    curve = pd.DataFrame({"step": range(1, 101), "value": [3.0] * 50 + [1.0] * 50})
    assert steps_to(curve, 2.0) == 60  # ten of 3, ten of 1
    assert steps_to(curve.sample(frac=1, random_state=0), 2.0, window=2) == 51
    assert steps_to(curve, 0.5) == 100
    curve.loc[99, "value"] = math.nan
    assert steps_to(curve, 0.5) == math.inf  # it will never get there
    assert steps_to(curve, 2.0) == 60


def test_loss_curves_are_means_of_ten_steps():
    rows = pd.DataFrame({"step": range(1, 26), "value": range(1, 26)}).assign(folder="one", split="train", seed=None)
    curves = loss_curves(type("Some", (), {"curves": lambda *_, **__: rows}))
    assert curves["step"].tolist() == [10, 20, 30]
    assert curves["value"].tolist() == [5.5, 15.5, 23]


BLIND = {"baseline.blind": 1.5, "baseline.floor": 0.5}


def test_losses_are_compared_in_shares_of_what_can_be_learned():
    runs = RUNS.assign(**BLIND)
    assert reducible(runs) == 1
    assert relative_gap(runs.assign(**{"baseline.blind": 2.5}), {"variant": "a"}, {"variant": "b"})[0] == 0.05
    with pytest.raises(ConfigError, match=r"the runs have no baseline\.floor: they are of an older version"):
        reducible(runs.drop(columns="baseline.floor"))


def test_what_is_at_the_ceiling_or_not_trained_is_not_compared():
    runs = pd.DataFrame({"variant": ["a", "a", "b", "b"], "final_loss": [0.6, 0.7, 0.8, 0.9], "outcome": "trained"})
    runs = runs.assign(**BLIND)
    a, b = {"variant": "a"}, {"variant": "b"}
    assert comparable(runs, a, b)
    assert not comparable(runs.assign(final_loss=[0.51, 0.52, 0.8, 0.9]), a, b)  # a is at the floor
    assert not comparable(runs.assign(outcome=["trained", "partial", "trained", "trained"]), a, b)
    assert not comparable(runs.assign(final_loss=[0.6, math.nan, 0.8, 0.9], outcome="diverged"), a, b)


def test_one_trains_where_the_other_does_not():
    assert trained_where(RUNS, {"variant": "a"}, {"variant": "b"}) == [0, 1, 0]
    assert trained_where(RUNS, {"variant": "b"}, {"variant": "a"}) == [1, 0, 0]


@pytest.mark.parametrize("rate", [1, 2, 3])
def test_the_ratio_of_drops_is_the_rate_of_the_collapse(rate):
    drops = [0.1 * rate**layer for layer in range(8)]
    values = 10.0 ** -np.cumsum([0, *drops])
    rows = pd.DataFrame({"layer": range(len(values)), "value": np.maximum(values, 1e-16)})
    assert drop_ratio(rows) == pytest.approx(rate)
    assert math.isnan(drop_ratio(rows[:2]))


def test_every_seed_has_its_own_fit():
    x = np.array([1, 2, 4])
    rows = pd.concat(
        [pd.DataFrame({"seed": seed, "x": x, "value": x.astype(float) ** power}) for seed, power in ((1, 2), (0, -1))]
    )
    assert fits(rows, exponent, "x") == pytest.approx([-1, 2])  # in the order of the seeds
    assert differences([3.0, 1.0], [1.0, 2.0]) == [2, -1]
    with pytest.raises(ValueError, match="zip"):
        differences([3.0], [1.0, 2.0])


def test_spikes_are_steps_far_above_those_before():
    quiet = pd.Series([1 + 0.001 * (step * 7 % 11) for step in range(200)])
    assert spikes(quiet) == 0
    assert spikes(quiet.where(quiet.index != 150, 2.0)) == pytest.approx(0.01)
    assert spikes(quiet.where(quiet.index != 50, 2.0)) == 0  # before the first window is full
    assert spikes(quiet.where(quiet.index < 180, math.nan)) == pytest.approx(0.2)
