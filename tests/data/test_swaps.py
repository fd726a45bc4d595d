import re
from collections import Counter

import numpy as np
import pytest

from normexp.data.swaps import ball_and_swaps, start_only, track
from normexp.data.vocabulary import EOS

FEW = {"examples": 2000}


def by_matrices(text, places):
    """The place of the ball by a product of permutation matrices."""
    start, *pairs = text.split()
    state = np.eye(places)[int(start)]
    for pair in pairs:
        first, second = map(int, pair.split("-"))
        swap = np.eye(places)
        swap[[first, second]] = swap[[second, first]]
        state = state @ swap
    return int(state.argmax())


def rows(corpus):
    return [row for split in corpus.splits.values() for row in split]


@pytest.mark.parametrize(("places", "swaps"), [(5, 6), (3, 10), (8, 1)])
def test_every_answer_is_that_of_a_product_of_matrices(places, swaps):
    corpus = ball_and_swaps(places, swaps, **FEW)
    assert corpus.splits.num_rows == {"train": 1600, "valid": 200, "test": 200}
    assert len(corpus.vocabulary) == 4 + places + places * (places - 1) // 2
    for row in rows(corpus):
        assert row["target"] == by_matrices(row["text"], places)
        assert row["source"] == [*corpus.vocabulary.encode(row["text"]), EOS]
        assert 1 <= len(row["text"].split()) - 1 <= swaps


def test_an_example_by_hand():
    assert track(3, [(0, 1), (1, 3), (1, 2)]) == 2


@pytest.mark.slow
def test_starts_swaps_and_answers_are_uniform():
    corpus = ball_and_swaps()
    texts = [row["text"].split() for row in rows(corpus)]
    for counted, kinds in (
        (Counter(text[0] for text in texts), 5),
        (Counter(pair for text in texts for pair in text[1:]), 10),
        (Counter(len(text) - 1 for text in texts), 6),
        (Counter(row["target"] for row in rows(corpus)), 5),
    ):
        assert len(counted) == kinds
        assert max(counted.values()) < 1.05 * min(counted.values())
    prior = np.log(5)
    expected = {"class_prior": prior, "blind": prior, "floor": 0.0, "bar": prior / 3}
    assert corpus.baselines_for("classification") == pytest.approx(expected, abs=2e-3)


def test_no_text_is_in_two_splits():
    texts = {name: set(split["text"]) for name, split in ball_and_swaps(**FEW).splits.items()}
    assert not texts["train"] & (texts["valid"] | texts["test"])
    assert not texts["valid"] & texts["test"]


@pytest.mark.parametrize("places", [3, 5, 7])
def test_the_accuracy_without_swaps_is_that_of_the_random_walk(places):
    pairs = places * (places - 1) / 2
    step = np.full((places, places), 1 / pairs)
    np.fill_diagonal(step, 1 - (places - 1) / pairs)
    for swaps in range(8):
        assert start_only(places, swaps) == pytest.approx(np.linalg.matrix_power(step, swaps)[0, 0])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"places": 2}, "data.places must be at least 3; got 2"),
        ({"swaps": 0}, "data.swaps must be at least 1; got 0"),
        ({"places": 3, "swaps": 1}, "data.swaps must allow at least 100 texts, so that each part has some; got 1 with"),
        ({"examples": 9}, "data.examples must be at least 10; got 9"),
    ],
)
def test_bad_options_get_one_sentence(options, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        ball_and_swaps(**options)
