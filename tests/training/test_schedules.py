"""Learning-rate factors by hand: at the start, at the end of the warm-up, at the end of training."""

import math

import pytest

from normexp.errors import ConfigError
from normexp.training.schedules import constant, cosine, inverse_sqrt, linear, wsd
from tests.support.runs import tiny_config


@pytest.mark.parametrize("schedule", [constant, linear, cosine, inverse_sqrt, wsd])
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


@pytest.mark.parametrize("schedule", [constant, linear, cosine, inverse_sqrt, wsd])
def test_warm_up_may_last_the_whole_training(schedule):
    assert [schedule(step, 5, 5) for step in range(1, 6)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


def test_wsd_is_constant_until_its_decay():
    """Of 20 steps with 4 of warm-up, the last quarter falls by equal amounts: 6 of them end one step later at 0."""
    found = [wsd(step, 4, 20, decay=0.25) for step in range(1, 21)]
    assert found == pytest.approx([0.25, 0.5, 0.75] + [1.0] * 12 + [5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6])
    assert wsd(20, 4, 20, decay=0.0) == 1.0


def test_a_decay_longer_than_the_training_is_refused():
    with pytest.raises(ConfigError, match=r"^schedule.decay must be between 0 and 1; got 1.5$"):
        tiny_config("schedule=wsd", "schedule.decay=1.5")
