"""Every outcome, on both sides of its boundary."""

import math

import pytest

from normexp.records.outcome import final_loss, judge

LEVELS = {"unigram": 3.0, "position_only": 2.0, "target_bigram": 1.5}
CLASSES = {"class_prior": 3.0}


def just_below(value: float) -> float:
    return math.nextafter(value, 0)


@pytest.mark.parametrize(("steps", "last"), [(1, 1), (19, 1), (20, 1), (21, 2), (40, 2), (400, 20)])
def test_the_final_loss_is_the_mean_of_the_last_twentieth(steps, last):
    losses = [100.0] * (steps - last) + [float(i) for i in range(last)]
    assert final_loss(losses) == sum(range(last)) / last


@pytest.mark.parametrize(
    ("final", "gap", "outcome"),
    [
        (just_below(1.5), 0.5, "trained"),
        (1.5, 0.5, "partial"),
        (just_below(1.5), just_below(0.5), "partial"),
        (0.01, None, "partial"),
        (just_below(0.98 * 2.0), 9.0, "partial"),
        (0.98 * 2.0, 9.0, "stuck"),
        (2.9, 0.0, "stuck"),
        (4.0, 0.0, "stuck"),  # no better than the first loss, and no worse
        (4.0001, 9.0, "diverged"),
    ],
)
def test_a_translation_is_judged_by_levels_and_by_whether_it_reads_the_source(final, gap, outcome):
    assert judge("translation", [4.0] * 19 + [final], LEVELS, gap) == outcome


@pytest.mark.parametrize(
    ("final", "outcome"),
    [
        (1.5, "trained"),
        (1.5000001, "partial"),
        (just_below(0.98 * 3.0), "partial"),
        (0.98 * 3.0, "stuck"),
        (4.0, "stuck"),
        (4.0001, "diverged"),
    ],
)
def test_a_classification_is_judged_by_the_class_prior(final, outcome):
    assert judge("classification", [4.0] * 19 + [final], CLASSES, None) == outcome


@pytest.mark.parametrize(
    ("final", "bigram", "outcome"),
    [
        (just_below(0.98 * 2.0), 2.5, "trained"),
        (0.98 * 2.0, 2.5, "stuck"),
        (just_below(1.5), 1.5, "trained"),
        (1.5, 1.5, "partial"),
        (4.0001, 2.5, "diverged"),
    ],
)
def test_a_language_model_is_judged_by_more_than_place_and_token_before(final, bigram, outcome):
    baselines = {"position_only": 2.0, "target_bigram": bigram}
    assert judge("language_modelling", [4.0] * 19 + [final], baselines, None) == outcome


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("step", [0, 7, 19])
def test_one_loss_that_is_not_finite_is_divergence(step, value):
    losses = [4.0] + [0.1] * 19
    losses[step] = value
    assert judge("translation", losses, LEVELS, 9.0) == "diverged"


def test_a_trained_model_that_ends_above_its_first_loss_has_diverged():
    assert judge("translation", [0.1] * 19 + [0.2], LEVELS, 9.0) == "diverged"
