"""Learning-rate factors by hand: at the start, at the end of the warm-up, at the end of training."""

import math

import pytest

from normexp.training.schedules import constant, cosine, inverse_sqrt, linear


@pytest.mark.parametrize("schedule", [constant, linear, cosine, inverse_sqrt])
def test_the_warm_up_is_linear_and_ends_at_one(schedule):
    assert [schedule(step, 4, 100) for step in (1, 2, 3, 4)] == [0.25, 0.5, 0.75, 1.0]
    assert schedule(5, 4, 100) <= 1


@pytest.mark.parametrize(
    ("schedule", "first", "second", "tenth"),
    [
        (constant, 1.0, 1.0, 1.0),
        (linear, 1.0, 0.9, 0.1),
        (cosine, 1.0, (1 + math.cos(0.1 * math.pi)) / 2, (1 + math.cos(0.9 * math.pi)) / 2),
        (inverse_sqrt, 1.0, 1 / math.sqrt(2), 1 / math.sqrt(10)),
    ],
)
def test_without_warm_up_the_first_step_has_the_full_rate(schedule, first, second, tenth):
    """Ten steps without warm-up: the first, the second and the tenth."""
    assert [schedule(step, 0, 10) for step in (1, 2, 10)] == pytest.approx([first, second, tenth], abs=1e-12)


@pytest.mark.parametrize(
    ("schedule", "middle", "end"),
    [
        (constant, 1.0, 1.0),
        (linear, 4 / 7, 1 / 7),  # down from step 4, and 0 at step 11
        (cosine, (1 + math.cos(3 / 7 * math.pi)) / 2, (1 + math.cos(6 / 7 * math.pi)) / 2),
        (inverse_sqrt, math.sqrt(4 / 7), math.sqrt(4 / 10)),
    ],
)
def test_decay_after_four_of_ten_steps_of_warm_up(schedule, middle, end):
    """At the end of the warm-up, half-way through the decay, and at the last step, where the rate is not yet 0."""
    assert [schedule(step, 4, 10) for step in (4, 7, 10)] == pytest.approx([1.0, middle, end], abs=1e-12)


@pytest.mark.parametrize("schedule", [constant, linear, cosine, inverse_sqrt])
def test_warm_up_may_last_the_whole_training(schedule):
    assert [schedule(step, 5, 5) for step in range(1, 6)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
