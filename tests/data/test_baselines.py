from math import log

import pytest

from normexp.data.baselines import bar, class_prior, of_targets, position_only, target_bigram, unigram

A, B, C, EOS = 4, 5, 6, 2
# Two targets, equally often: the first token is a coin, what follows depends on it alone.
TARGETS = [[A, B, EOS], [B, A, EOS]]


def test_baselines_of_a_toy_as_worked_out_by_hand():
    assert list(of_targets(TARGETS)) == ["unigram", "position_only", "target_bigram"]
    assert unigram(TARGETS) == pytest.approx(log(3))  # A, B and <eos>, a third each
    assert position_only(TARGETS) == pytest.approx(2 / 3 * log(2))  # <eos> is certain at the third place
    # After <bos>: A or B; after A: B or <eos>; after B: A or <eos>. Every token is a coin.
    assert target_bigram(TARGETS) == pytest.approx(log(2))


def test_baselines_are_zero_where_all_is_certain():
    same = [[A, B, C, EOS]] * 3
    assert position_only(same) == 0
    assert target_bigram(same) == 0
    assert unigram(same) == pytest.approx(log(4))


def test_baselines_weight_tokens_not_targets():
    # Of 5 tokens only the two in the second place are uncertain: A or <eos>, half each.
    assert position_only([[A, A, EOS], [A, EOS]]) == pytest.approx(2 / 5 * log(2))


def test_class_prior():
    assert class_prior([0, 1, 2, 3]) == pytest.approx(log(4))
    assert class_prior([0, 0, 0, 1]) == pytest.approx(0.75 * log(4 / 3) + 0.25 * log(4))


def test_the_bar_of_every_task():
    baselines = {"blind": 2.0, "floor": 0.5, "target_bigram": 1.7}
    assert bar("translation", baselines) == 1.25
    assert bar("classification", baselines) == 1.0
    assert bar("language_modelling", baselines) == 1.7
