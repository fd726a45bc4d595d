"""Fits of points that lie where they should."""

import math

import numpy as np
import pandas as pd
import pytest

from normexp.studies.statistics import exponent, line, per_seed, r_squared, rate, ratio


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
