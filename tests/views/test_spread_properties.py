"""Labels moved apart: in order, a gap between neighbours, and each as near to its place as that allows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import isotonic_regression

from normexp.views.edge_labels import spread, within

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


@given(places=places, gap=st.floats(0.001, 0.05))
def test_labels_are_moved_inside_the_panel(places, gap):
    """With the gap still between them; those that are inside and can stay do."""
    inside = within(spread(places, gap), gap)
    assert min(inside) >= 0
    assert max(inside) <= 1 + 1e-9
    assert all(np.diff(inside) >= gap - 1e-9)
    assert within(inside, gap) == pytest.approx(inside)


def test_more_labels_than_fit_go_on_above_the_panel():
    assert within([0.1, 0.7, 1.3], 0.6) == pytest.approx([0, 0.6, 1.2])
