"""What holds for every schedule, at any warm-up and length, and what sets each one apart."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normexp.training.schedules import constant, cosine, inverse_sqrt, linear, wsd

SCHEDULES = (constant, linear, cosine, inverse_sqrt, wsd)
every_schedule = pytest.mark.parametrize("schedule", SCHEDULES)


@st.composite
def trainings(draw: st.DrawFn) -> tuple[int, int]:
    """(warmup, steps) with 0 ≤ warmup ≤ steps, as the config allows."""
    steps = draw(st.integers(1, 10_000))
    return draw(st.integers(0, steps)), steps


@st.composite
def moments(draw: st.DrawFn) -> tuple[int, int, int]:
    """(step, warmup, steps) with 1 ≤ step ≤ steps."""
    warmup, steps = draw(trainings())
    return draw(st.integers(1, steps)), warmup, steps


@every_schedule
@given(moment=moments())
def test_factor_is_above_zero_and_at_most_one(schedule, moment):
    """lr is the peak rate, and no step of the training is wasted at rate 0."""
    assert 0 < schedule(*moment) <= 1


@every_schedule
@given(training=trainings())
def test_peak_is_the_last_step_of_the_warmup(schedule, training):
    warmup, steps = training
    assert schedule(max(warmup, 1), warmup, steps) == 1


@every_schedule
@given(moment=moments())
def test_warmup_is_linear(schedule, moment):
    step, warmup, steps = moment
    if step <= warmup:
        assert schedule(step, warmup, steps) == step / warmup


@every_schedule
@given(moment=moments())
def test_factor_never_rises_after_the_warmup(schedule, moment):
    step, warmup, steps = moment
    if warmup <= step < steps:
        assert schedule(step + 1, warmup, steps) <= schedule(max(step, 1), warmup, steps)


@pytest.mark.parametrize("schedule", [linear, cosine, wsd])
@given(training=trainings())
def test_decay_reaches_zero_one_step_after_the_last(schedule, training):
    warmup, steps = training
    assert schedule(steps + 1, warmup, steps) == pytest.approx(0, abs=1e-12)


@given(moment=moments())
def test_constant_stays_at_the_peak(moment):
    step, warmup, steps = moment
    if step >= warmup:
        assert constant(step, warmup, steps) == 1


@given(moment=moments())
def test_linear_falls_by_equal_amounts(moment):
    step, warmup, steps = moment
    if step >= max(warmup, 1):
        fall = linear(step, warmup, steps) - linear(step + 1, warmup, steps)
        assert fall == pytest.approx(1 / (steps + 1 - max(warmup, 1)), abs=1e-12)


@given(moment=moments())
def test_cosine_is_symmetric_about_one_half(moment):
    """What the first half of the decay stays above the straight line, the second half stays below it."""
    step, warmup, steps = moment
    start = max(warmup, 1)
    if step >= start:
        mirrored = start + steps + 1 - step
        assert cosine(step, warmup, steps) + cosine(mirrored, warmup, steps) == pytest.approx(1)


@given(moment=moments())
def test_inverse_sqrt_ignores_the_length_of_the_training(moment):
    step, warmup, steps = moment
    factor = inverse_sqrt(step, warmup, steps)
    assert factor == inverse_sqrt(step, warmup, 2 * steps)
    if step >= warmup:
        assert factor == pytest.approx(math.sqrt(max(warmup, 1) / step))
