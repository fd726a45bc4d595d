from itertools import product
from math import log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from normexp.data.ngrams import NAMES, held_out

V = 6
texts = st.lists(st.lists(st.integers(2, V - 1), min_size=1, max_size=5), min_size=1, max_size=8)


def by_hand(train, held, order, vocabulary=V):
    """Witten-Bell, one token after the other."""

    def windows(text):
        padded = [1] * order + text
        return [(tuple(padded[i : i + order]), padded[i + order]) for i in range(len(text))]

    def probability(context, token):
        shorter = 1 / vocabulary if context is None else probability(context[1:] if context else None, token)
        if context is None:
            return shorter
        size = len(context)
        followers = [t for text in train for c, t in windows(text) if c[order - size :] == context]
        if not followers:
            return shorter
        return (followers.count(token) + len(set(followers)) * shorter) / (len(followers) + len(set(followers)))

    losses = [-log(probability(c, t)) for text in held for c, t in windows(text)]
    return sum(losses) / len(losses)


@settings(deadline=None, max_examples=40)
@given(texts, texts)
def test_every_order_equals_the_formula(train, held):
    losses = held_out(train, held, V, order=4)
    for order, name in enumerate(NAMES):
        assert losses[name] == pytest.approx(by_hand(train, held, order))


@settings(deadline=None, max_examples=20)
@given(texts, texts, st.sampled_from([60_000, 2_000_000]))
def test_codes_of_long_contexts_fit_in_64_bits(train, held, vocabulary):
    """60,000 to the power of 6 does not; tokens far apart, so that codes would collide."""
    train, held = ([[i * (vocabulary // V) for i in text] for text in part] for part in (train, held))
    assert held_out(train, held, vocabulary, 4)["target_5gram"] == pytest.approx(by_hand(train, held, 4, vocabulary))


def test_position_only_is_worked_out_by_hand():
    # Unigram of the training part: 4 and 5 twice each, of 4: (2 + 2/6) / (4 + 2) = 7/18 each.
    # Position 0 saw 4 twice, one kind: (2 + 7/18) / 3 for a 4. Position 2 was never seen, so the unigram.
    loss = held_out([[4, 5], [4, 5]], [[4, 5, 4]], V)["position_only"]
    seen = (2 + 7 / 18) / 3
    assert loss == pytest.approx(-(2 * log(seen) + log(7 / 18)) / 3)


def test_probabilities_sum_to_one():
    train = [[2, 3, 2, 4], [3, 3, 5]]
    total = 0.0
    for text in product(range(V), repeat=2):
        total += 2.718281828459045 ** (-2 * held_out(train, [list(text)], V, order=2)["target_trigram"])
    assert total == pytest.approx(1)


def test_longer_contexts_help_where_text_repeats():
    text = [2, 3, 2, 4, 2, 3, 2, 5] * 20
    losses = held_out([text], [text], V, order=4)
    assert losses["target_4gram"] < losses["target_trigram"] < losses["target_bigram"] < losses["unigram"]
