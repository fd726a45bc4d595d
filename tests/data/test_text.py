"""A corpus from pairs of texts."""

import pytest

from normexp.data.text import text_pairs

PAIRS = [(f"a {i} b", f"b {i} a") for i in range(40)] + [("a 1 b", "another reading")]


def test_no_source_is_both_trained_on_and_held_out():
    corpus = text_pairs(PAIRS)
    sources = {name: set(split["source_text"]) for name, split in corpus.splits.items()}
    assert sum(map(len, sources.values())) == 40
    assert not sources["train"] & (sources["valid"] | sources["test"])
    assert [len(sources[name]) for name in ("valid", "test")] == [4, 4]


@pytest.mark.parametrize("task", ["translation", "language_modelling"])
def test_baselines_are_stated(task):
    baselines = text_pairs(PAIRS, tokens="characters").baselines_for(task)
    assert 0 < baselines["blind"] <= baselines["unigram"]
    assert {"floor", "bar", "position_only", "target_bigram"} <= set(baselines)


def test_same_pairs_give_the_same_digest():
    assert text_pairs(PAIRS).digest == text_pairs(PAIRS).digest
    assert text_pairs(PAIRS).digest != text_pairs(PAIRS, seed=1).digest


def test_too_few_sources_and_unknown_tokens_are_refused():
    with pytest.raises(ValueError, match="at least 10 different sources; got 3"):
        text_pairs(PAIRS[:3])
    with pytest.raises(ValueError, match="tokens must be one of words, characters; got bytes"):
        text_pairs(PAIRS, tokens="bytes")
