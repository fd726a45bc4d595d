"""Verdicts come from intervals, and are as often wrong as they say."""

import math

import numpy as np
import pytest
from scipy import stats

from normexp.studies.verdict import Verdict, in_family, interval, judge, q_values

INF = math.inf


@pytest.mark.parametrize(
    ("values", "low", "high", "verdict"),
    [
        ([1.0, 1.1, 0.9, 1.0, 1.0], 0.5, 2, "holds"),
        ([3.0, 3.1, 2.9, 3.0, 3.0], 0.5, 2, "does not hold"),
        ([0.1, 1.9, 0.3, 1.5, 0.4], 0.5, 2, "cannot tell"),
        ([1.0, 1.0, 1.0, 1.0], 0.5, 2, "cannot tell"),  # four seeds
        ([1.0, 1.0, 1.0, 1.0, math.nan], 0.5, 2, "cannot tell"),  # no mean over the survivors
        ([], 0.5, 2, "cannot tell"),
        ([0.5] * 5, 0.5, 2, "holds"),  # ends included
        ([1.0, 2.0, INF, INF, INF], 0, INF, "holds"),  # a run that diverged may be what was claimed
        ([INF] * 5, -INF, 0, "does not hold"),
        ([-1.0, -1.0, -1.0, INF, INF], -INF, 0, "cannot tell"),
    ],
)
def test_the_whole_interval_decides(values, low, high, verdict):
    assert judge(values, low, high, "difference") == verdict


@pytest.mark.parametrize(
    ("count", "low", "high", "verdict"),
    [
        (5, 0.5, 1, "holds"),
        (4, 0.5, 1, "cannot tell"),
        (1, 0.5, 1, "cannot tell"),
        (0, 0.5, 1, "does not hold"),
        (0, 0, 0.5, "holds"),
    ],
)
def test_counts_have_jeffreys_interval(count, low, high, verdict):
    values = [1.0] * count + [0.0] * (5 - count)
    assert judge(values, low, high, "share") == verdict
    at = interval(values, low, high, "share")
    assert at.low == (0 if count == 0 else pytest.approx(stats.beta.ppf(0.025, count + 0.5, 5.5 - count)))


def test_counts_of_several_looks_have_the_exact_interval():
    at = interval([1.0] * 9 + [0.0], 0.5, 1, "share", 0.975)
    exact = stats.binomtest(9, 10).proportion_ci(0.975, method="exact")
    assert (at.low, at.high) == pytest.approx((exact.low, exact.high))
    assert at.p == pytest.approx(stats.binomtest(9, 10, 0.5).pvalue)
    assert judge([1.0] * 5, 0.5, 1, "share", 0.975) == "cannot tell"  # by chance in 6 % of the studies


def test_an_identity_needs_no_seeds_but_every_one():
    assert judge([1e-9], -1e-6, 1e-6, "identity") == "holds"
    assert judge([1e-9, 1e-3], -1e-6, 1e-6, "identity") == "does not hold"
    assert judge([], -1e-6, 1e-6, "identity") == "cannot be tested"


def test_few_seeds_have_students_interval():
    values = [1.0, 2.0, 4.0, 3.0, 2.0]
    at = interval(values, 0, INF, "difference")
    assert (at.low, at.high) == pytest.approx(stats.ttest_1samp(values, 0).confidence_interval(0.95))
    assert at.p == pytest.approx(stats.ttest_1samp(values, 0).pvalue)


def test_ratios_are_averaged_as_logarithms():
    at = interval([1.0, 4.0, 2.0, 2.0, 2.0], 1, INF, "ratio")
    assert at.estimate == pytest.approx(2)
    assert at.low * at.high == pytest.approx(4)


def test_many_seeds_are_bootstrapped_and_alike_every_time():
    values = np.random.default_rng(1).lognormal(size=20)
    at, student = interval(values, 0, INF, "level"), stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert at == interval(values, 0, INF, "level")
    assert at.high > student.high  # the long tail is above
    assert at.low == pytest.approx(student.low)  # never shorter than Student's


def verdicts(effect, seeds, draw, studies=1000):
    rng = np.random.default_rng(0)
    found = [judge(draw(rng, effect, seeds), 0, INF, "difference") for _ in range(studies)]
    return {verdict: found.count(verdict) / studies for verdict in ("holds", "does not hold", "cannot tell")}


def normal(rng, effect, seeds):
    """Paired differences whose standard deviation is 1."""
    return rng.normal(effect, 1, seeds)


def losses(rng, effect, seeds):
    """Differences of losses that vary by a factor e from seed to seed, as ours do near the floor."""
    return effect + rng.lognormal(0, 1, seeds) - rng.lognormal(0, 1, seeds)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [5, 20])
def test_a_known_effect_has_the_right_verdict(seeds):
    assert verdicts(3, seeds, normal)["holds"] >= 0.95
    assert verdicts(-3, seeds, normal)["does not hold"] >= 0.95


@pytest.mark.slow
@pytest.mark.parametrize(("seeds", "draw"), [(5, losses), (20, losses), (20, normal)])
def test_no_effect_seldom_has_a_verdict(seeds, draw):
    assert verdicts(0, seeds, draw)["cannot tell"] >= 0.95


@pytest.mark.slow
def test_no_effect_in_normal_noise_has_five_per_cent():
    """With Student's interval alone the rate is 5 % exactly, so a thousand studies scatter around it."""
    wrong = 1 - verdicts(0, 5, normal)["cannot tell"]
    assert 1000 * wrong <= stats.binom.ppf(0.999, 1000, 0.05)


@pytest.mark.slow
def test_a_family_of_true_nulls_has_no_verdict_in_95_per_cent():
    """Eight controls, of which each alone is wrong in 5 %: together they must be wrong in at most 5 %."""
    draws = np.random.default_rng(1).normal(size=(400, 8, 5))
    wrong = 0
    for study in draws:
        verdicts = [judge(list(seeds), 0, math.inf, "control") for seeds in study]
        q = q_values([interval(seeds, 0, math.inf, "control").p for seeds in study])
        wrong += any(verdict is not Verdict.UNDECIDED for verdict in in_family(verdicts, q))
    assert wrong / 400 <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 400)


def test_a_family_takes_back_only_what_may_be_chance():
    verdicts = [Verdict.HOLDS, Verdict.FAILS, Verdict.UNTESTED, Verdict.HOLDS]
    assert in_family(verdicts, [0.06, 0.04, 0.9, math.nan]) == [Verdict.UNDECIDED, *verdicts[1:]]


def test_q_values_leave_out_what_has_no_p():
    assert q_values([0.01, math.nan, 0.04]) == pytest.approx([0.02, math.nan, 0.04], nan_ok=True)
    assert q_values([]) == []
