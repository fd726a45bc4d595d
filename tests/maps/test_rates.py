"""The search for the best rate, on losses that are known at every rate."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normexp.maps.rates import FARTHEST, Tried, best, first_rate, interior, next_rates, window

FAR = range(-FARTHEST, FARTHEST + 1)


def search(losses, learned=lambda k: True, margin=0.0, first=0):
    """Every rate that is tried until the search is over, by exponent."""
    tried = {}
    while wanted := next_rates(tried, margin, first):
        assert not set(wanted) & set(tried)
        tried |= {k: Tried(losses(k), learned(k)) for k in wanted}
    return tried


@given(st.floats(-FARTHEST + 1, FARTHEST - 1), st.floats(0.01, 10))
def test_one_valley_is_found_and_its_bottom_is_inside(bottom, slope):
    tried = search(lambda k: slope * abs(k - bottom))
    assert best(tried) == min(FAR, key=lambda k: slope * abs(k - bottom))
    assert interior(tried)


def test_an_optimum_in_the_middle_takes_three_runs():
    assert sorted(search(abs)) == [-1, 0, 1]


def test_one_that_is_two_octaves_up_takes_two_more_and_none_below():
    assert sorted(search(lambda k: abs(k - 2))) == [0, 1, 2, 3]


@given(st.integers(-FARTHEST, FARTHEST - 1), st.integers(-FARTHEST + 1, FARTHEST - 1))
def test_it_is_found_from_wherever_the_search_begins(first, bottom):
    tried = search(lambda k: abs(k - bottom), first=first)
    assert best(tried) == bottom
    assert interior(tried)


def found(bottom, learned=True):
    return search(lambda k: abs(k - bottom), learned=lambda k: learned)


@pytest.mark.parametrize(
    ("depth", "bottoms", "first"),
    [
        (3, {}, 0),
        (6, {3: 2}, 2),
        (12, {3: 1, 6: -1}, -3),  # a power law
        (24, {6: 1, 3: 2, 12: 1}, 1),  # through the last two
        (24, {3: 0, 6: -3}, -FARTHEST),
        (24, {3: 0, 6: 3}, FARTHEST - 1),
        (4, {1: 0, 2: 1}, 2),
        (16, {2: 2, 4: 1}, -1),
    ],
)
def test_a_depth_begins_where_shallower_ones_point_to(depth, bottoms, first):
    assert first_rate(depth, {at: found(bottom) for at, bottom in bottoms.items()}) == first


def test_depths_at_which_nothing_learns_point_nowhere():
    assert first_rate(6, {3: found(2, learned=False)}) == 0
    assert first_rate(12, {3: found(2), 6: found(0, learned=False)}) == 2


def test_rates_end_five_octaves_away_and_that_is_an_edge():
    tried = search(lambda k: -k)
    assert best(tried) == FARTHEST
    assert not interior(tried)


def test_a_high_rate_that_diverges_moves_the_search_down():
    tried = search(lambda k: math.inf if k > -3 else abs(k + 4), learned=lambda k: k <= -3)
    assert sorted(tried) == [-5, -4, -3, -2, -1, 0, 1]  # and nothing above
    assert best(tried) == -4


def test_higher_rates_follow_where_lower_ones_do_not_learn():
    tried = search(lambda k: abs(k - 2), learned=lambda k: k >= 2)
    assert sorted(tried) == [-5, -4, -3, -2, -1, 0, 1, 2, 3]
    assert best(tried) == 2


def test_where_nothing_learns_all_lower_rates_are_tried():
    tried = search(lambda k: 3.0 + 0.001 * abs(k), learned=lambda k: False)
    assert sorted(tried) == [-5, -4, -3, -2, -1, 0, 1, 2]
    assert window(tried, margin=1.0) == 0


@pytest.mark.parametrize("first", [0, -2, 3])
def test_the_lowest_rate_is_found_wherever_the_search_begins(first):
    tried = search(lambda k: 2.0 if k == -FARTHEST else 3.0, learned=lambda k: k == -FARTHEST, first=first)
    assert best(tried) == -FARTHEST


def test_a_run_that_was_removed_is_asked_for_again():
    tried = search(lambda k: abs(k - 1))
    del tried[1]
    assert next_rates(tried) == [1]


def test_nothing_learns_where_the_search_begins_far_up():
    tried = search(lambda k: 3.0 + 0.001 * k, learned=lambda k: False, first=FARTHEST - 1)
    assert set(range(-FARTHEST, FARTHEST + 1)) <= set(tried)


def test_learning_counts_before_a_lower_loss():
    tried = {-1: Tried(1.0, False), 0: Tried(2.0, True), 1: Tried(3.0, True)}
    assert best(tried) == 0


@given(st.integers(-2, 2), st.integers(0, 2), st.integers(0, 2))
def test_the_window_is_as_wide_as_the_losses_say(bottom, left, right):
    def loss(k):
        return 0.0 if k == bottom else 0.5 if bottom - left <= k <= bottom + right else 9.0

    tried = search(loss, margin=1.0)
    assert window(tried, margin=1.0) == left + right + 1
    assert {bottom - left - 1, bottom + right + 1} <= set(tried)
