"""Labels moved apart: in order, a gap between neighbours, and each as near to its place as that allows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import isotonic_regression

from normexp.views.edge_labels import spread

places = st.lists(st.floats(-100, 100), min_size=1, max_size=12).map(sorted)
gaps = st.floats(0.01, 10)


@given(places=places, gap=gaps)
def test_labels_keep_their_order_and_the_gap(places, gap):
    moved = spread(places, gap)
    assert len(moved) == len(places)
    assert all(np.diff(moved) >= gap - 1e-9)


@given(places=places, gap=gaps)
def test_labels_move_by_the_least_sum_of_squares(places, gap):
    """Less a gap per label, the places are the isotonic regression of what they were: an independent reference."""
    offsets = gap * np.arange(len(places))
    assert spread(places, gap) == pytest.approx(isotonic_regression(places - offsets).x + offsets, abs=1e-9)


@given(places=places, gap=gaps)
def test_centre_of_all_labels_stays(places, gap):
    assert np.mean(spread(places, gap)) == pytest.approx(np.mean(places), abs=1e-9)


@given(places=places, gap=gaps)
def test_labels_that_are_apart_stay(places, gap):
    apart = spread(places, gap)
    assert spread(apart, 0.99 * gap) == pytest.approx(apart, abs=1e-9)


def test_no_labels():
    assert spread([], 1.0) == []
