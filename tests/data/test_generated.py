"""Corpora that are drawn: the same options give the same texts, and any other option gives others."""

import pytest

from normexp.data.grammar import synchronous_grammar
from normexp.data.swaps import ball_and_swaps


@pytest.mark.parametrize(
    ("make", "few", "other"),
    [
        (synchronous_grammar, {"pairs": 200}, {"seed": 1}),
        (synchronous_grammar, {"pairs": 200}, {"noise": 0.3}),
        (ball_and_swaps, {"examples": 2000}, {"seed": 1}),
        (ball_and_swaps, {"examples": 2000}, {"swaps": 7}),
    ],
)
def test_a_corpus_is_a_function_of_its_options(make, few, other):
    assert make(**few).digest == make(**few).digest
    assert make(**few, **other).digest != make(**few).digest
