"""Every outcome, on both sides of its boundary."""

import math
from pathlib import Path

import pandas as pd
import pytest

from normexp.data.classification import cldr_languages
from normexp.data.translation import cldr_phrases
from normexp.records.outcome import final_loss, judge, judge_final, judge_tables

REFERENCE = Path(__file__).resolve().parents[2] / "results" / "reference"
V = 50
TRANSLATION = {"position_only": 2.0, "target_bigram": 1.9, "blind": 1.25, "floor": 0.25, "bar": 0.75}
CLASSES = {"class_prior": 3.0, "blind": 3.0, "floor": 0.0, "bar": 1.0}
LANGUAGE = {"position_only": 2.0, "target_bigram": 1.5, "blind": 2.0, "floor": 0.0, "bar": 1.5}


def below(value: float) -> float:
    return math.nextafter(value, -math.inf)


def above(value: float) -> float:
    return math.nextafter(value, math.inf)


@pytest.mark.parametrize(("steps", "last"), [(1, 1), (19, 1), (20, 1), (21, 2), (40, 2), (400, 20)])
def test_final_loss_is_the_mean_of_the_last_twentieth(steps, last):
    losses = [100.0] * (steps - last) + [float(i) for i in range(last)]
    assert final_loss(losses) == sum(range(last)) / last


def test_a_run_without_a_loss_has_no_final_loss():
    with pytest.raises(ValueError, match="no final loss"):
        final_loss([])


@pytest.mark.parametrize(
    ("final", "gap", "outcome"),
    [
        (0.75, 0.5, "trained"),
        (above(0.75), 0.5, "partial"),
        (0.75, below(0.5), "partial"),
        (0.26, 0.0, "partial"),
        (0.26, None, "partial"),
        (0.26, math.nan, "partial"),
        (below(0.98 * 2.0), 9.0, "partial"),
        (0.98 * 2.0, 9.0, "stuck"),
        (2 * math.log(V), 0.0, "stuck"),
        (above(2 * math.log(V)), 9.0, "diverged"),
    ],
)
def test_translation(final, gap, outcome):
    assert judge("translation", [4.0] * 19 + [final], TRANSLATION, V, gap) == outcome


@pytest.mark.parametrize(
    ("final", "outcome"),
    [
        (1.0, "trained"),
        (above(1.0), "partial"),
        (below(0.98 * 3.0), "partial"),
        (0.98 * 3.0, "stuck"),
        (2 * math.log(20), "stuck"),
        (above(2 * math.log(20)), "diverged"),
    ],
)
def test_classification(final, outcome):
    assert judge("classification", [4.0] * 19 + [final], CLASSES, 20) == outcome


@pytest.mark.parametrize(
    ("final", "bigram", "outcome"),
    [
        (1.5, 1.5, "trained"),
        (above(1.5), 1.5, "partial"),
        (below(0.98 * 2.0), 1.5, "partial"),
        (0.98 * 2.0, 1.5, "stuck"),
        # Where the bigram is above 0.98 of position-only, stuck comes first.
        (below(0.98 * 2.0), 2.5, "trained"),
        (0.98 * 2.0, 2.5, "stuck"),
        (2.2, 2.5, "stuck"),
        (2 * math.log(V), 2.5, "stuck"),
        (above(2 * math.log(V)), 2.5, "diverged"),
    ],
)
def test_language_modelling(final, bigram, outcome):
    baselines = LANGUAGE | {"target_bigram": bigram, "bar": bigram}
    assert judge("language_modelling", [4.0] * 19 + [final], baselines, V) == outcome


@pytest.mark.parametrize("baselines", [{"position_only": 0.5}, {"position_only": 0.5, "bar": 100.0, "floor": 0.0}])
def test_no_better_than_position_only_is_never_trained(baselines):
    for final in (0.49, 0.5, 0.75, 1.0, 5.0):
        assert judge_final("translation", final, TRANSLATION | baselines, V, 9.0) == "stuck"


def test_divergence_comes_before_everything_else():
    two_words = {"class_prior": 9.0, "blind": 9.0, "floor": 0.0, "bar": 9.0}
    assert judge_final("classification", 2 * math.log(2), two_words, 2) == "trained"
    assert judge_final("classification", above(2 * math.log(2)), two_words, 2) == "diverged"


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("step", [0, 7, 19])
def test_one_loss_that_is_not_finite_is_divergence(step, value):
    losses = [4.0] + [0.1] * 19
    losses[step] = value
    assert judge("translation", losses, TRANSLATION, V, 9.0) == "diverged"


@pytest.mark.parametrize(("valid", "outcome"), [(0.3, "trained"), (math.nan, "diverged"), (math.inf, "diverged")])
def test_a_broken_last_update_shows_in_the_validation(valid, outcome):
    assert judge("translation", [0.3] * 20, TRANSLATION, V, 9.0, valid) == outcome


def test_how_high_a_run_began_does_not_matter():
    for first in (0.01, 60.0):
        assert judge("translation", [first] + [0.3] * 39, TRANSLATION, V, 9.0) == "trained"
        assert judge("translation", [first] + [9.0] * 39, TRANSLATION, V, 0.0) == "diverged"


def test_a_baseline_that_the_rule_needs_is_named():
    with pytest.raises(ValueError, match="without the baseline bar, floor"):
        judge("translation", [1.0], {"position_only": 1.9}, V)


def curves(losses, validations):
    rows = [(step, "train", "nll", loss) for step, loss in enumerate(losses, 1)]
    rows += [(step, "train", "lr", 1e-3) for step in range(1, len(losses) + 1)]
    rows += [(step, "valid", name, value) for step, values in validations.items() for name, value in values.items()]
    return pd.DataFrame(rows[::-1], columns=["step", "split", "statistic", "value"])  # in no particular order


@pytest.mark.parametrize(
    ("losses", "validations", "outcome"),
    [
        ([4.0] * 19 + [0.3], {20: {"nll": 0.3, "permuted_nll": 0.8}}, "trained"),
        ([4.0] * 19 + [0.3], {20: {"nll": 0.3, "permuted_nll": 0.7}}, "partial"),
        ([4.0] * 19 + [0.3], {10: {"nll": 0.3, "permuted_nll": 0.8}}, "partial"),  # not of the last step
        ([0.3] * 20, {20: {"nll": math.nan, "permuted_nll": math.nan}}, "diverged"),
        ([0.3] * 19 + [math.nan], {10: {"nll": 0.3, "permuted_nll": 0.8}}, "diverged"),
        ([52.0] * 20, {20: {"nll": 52.0, "permuted_nll": 52.0}}, "diverged"),
    ],
)
def test_a_run_is_judged_again_from_its_tables(losses, validations, outcome):
    assert judge_tables("translation", curves(losses, validations), TRANSLATION, V) == outcome


def test_tables_of_other_tasks_need_no_permuted_loss():
    table = curves([4.0] * 19 + [0.9], {20: {"nll": 1.1, "accuracy": 0.7}})
    assert judge_tables("classification", table, CLASSES, 20) == "trained"


@pytest.mark.slow
def test_trained_means_what_people_see_in_reference_runs():
    """No trained run but one has a BLEU below 10, none an accuracy below 60 %, and none above 2 ln V is stuck."""
    corpora = {
        "cldr_dates": cldr_phrases(),
        "cldr_mixed": cldr_phrases(kinds=["date", "time", "unit", "duration", "list"]),
        "cldr_languages": cldr_languages(),
    }
    judged, low = [], []
    for path in sorted(REFERENCE.glob("*/*.csv")):
        runs = pd.read_csv(path)
        if not {"task", "data", "final_loss", "valid_loss"} <= set(runs):
            continue  # a table of something else
        for _, run in runs[runs["final_loss"].notna() & runs["data"].isin(corpora)].iterrows():
            corpus, final, valid = corpora[run["data"]], run["final_loss"], run["valid_loss"]
            gap = run.get("permuted_loss", math.nan) - valid
            outcome = judge_final(run["task"], final, corpus.baselines_for(run["task"]), corpus.outputs, gap)
            judged.append(outcome)
            if outcome == "trained" and run["task"] != "language_modelling":  # whose next token is rarely certain
                seen = {name: run.get(name, math.nan) for name in ("bleu", "token_accuracy", "accuracy")}
                if seen["bleu"] < 10:
                    low.append(f"{path.parent.name}: {run['folder'].rpartition('/')[2]}")
                assert not seen["token_accuracy"] < 0.6, (path, run["folder"])
                assert not seen["accuracy"] < 0.6, (path, run["folder"])
            assert outcome != "stuck" or final <= 2 * math.log(corpus.outputs)
    assert judged.count("trained") > 100
    assert low == ["which_stack: encoderpre_ln-decoderpost_ln-seed0-d999c302"]  # 85 % of its tokens are right
