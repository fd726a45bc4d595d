"""What holds for batches and vocabularies whatever the examples are."""

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from normexp.data.batches import IGNORE, Batches
from normexp.data.corpus import Example
from normexp.data.vocabulary import BOS, EOS, PAD, UNK, Vocabulary, characters, join_characters, join_words, words

quick = settings(deadline=None, max_examples=60)
ids = st.lists(st.integers(4, 30), max_size=12).map(lambda row: [*row, EOS])
pairs = st.lists(st.builds(Example, ids, ids), min_size=1, max_size=40)
texts = st.lists(st.builds(Example, ids, st.integers(0, 3)), min_size=1, max_size=40)
language = st.lists(st.builds(Example, st.just([]), ids), min_size=1, max_size=40)
examples = st.one_of(pairs, texts, language)
seeds = st.one_of(st.none(), st.integers(0, 2**32))


def length(example):
    return len(example.source) + (len(example.target) if isinstance(example.target, list) else 0)


def epoch(batches, seed):
    return batches.epoch(None if seed is None else torch.Generator().manual_seed(seed))


def read(batch):
    """The examples of a batch, padding removed."""
    rows = []
    for source, label in zip(batch.source.tolist(), batch.labels.tolist(), strict=True):
        target = tuple(i for i in label if i != IGNORE) if isinstance(label, list) else label
        rows.append((tuple(i for i in source if i != PAD), target))
    return rows


@pytest.mark.slow
@quick
@given(examples, st.integers(0, 100), seeds)
def test_no_batch_exceeds_the_budget(examples, spare, seed):
    budget = max(map(length, examples)) + spare
    for batch in epoch(Batches(examples, budget), seed):
        held = batch.source.numel() + (0 if batch.target is None else batch.target.numel())
        assert 0 < held <= budget
        assert batch.tokens == (batch.labels != IGNORE).sum()


@pytest.mark.slow
@quick
@given(examples, st.integers(0, 100), seeds)
def test_an_epoch_has_every_example_once(examples, spare, seed):
    batches = Batches(examples, max(map(length, examples)) + spare)
    held = Counter(row for batch in epoch(batches, seed) for row in read(batch))
    targets = (tuple(e.target) if isinstance(e.target, list) else e.target for e in examples)
    assert held == Counter(zip((tuple(e.source) for e in examples), targets, strict=True))


@pytest.mark.slow
@quick
@given(examples, st.integers(0, 100), seeds)
def test_the_same_generator_gives_the_same_order(examples, spare, seed):
    budget = max(map(length, examples)) + spare
    first, second = (epoch(Batches(examples, budget), seed) for _ in range(2))
    assert [read(batch) for batch in first] == [read(batch) for batch in second]


@pytest.mark.slow
@quick
@given(examples, st.integers(1, 100))
def test_a_budget_too_small_for_one_example_is_refused(examples, missing):
    longest = max(map(length, examples))
    with pytest.raises(ValueError, match=f"must be at least {longest}"):
        Batches(examples, longest - missing)


@quick
@given(st.text(max_size=60))
def test_characters_survive_encoding_and_decoding(text):
    vocabulary = Vocabulary.of([text], characters, join_characters)
    assert vocabulary.decode([BOS, *vocabulary.encode(text), EOS, PAD]) == text


@quick
@given(st.text(max_size=60))
def test_words_survive_encoding_and_decoding(text):
    vocabulary = Vocabulary.of([text])
    assert vocabulary.decode([*vocabulary.encode(text), EOS]) == join_words(words(text))
    assert UNK not in vocabulary.encode(text)


@quick
@given(st.text(max_size=30), st.text(max_size=30))
def test_only_tokens_of_the_vocabulary_have_an_id(known, text):
    vocabulary = Vocabulary.of([known], characters, join_characters)
    for token, i in zip(text, vocabulary.encode(text), strict=True):
        assert (i == UNK) == (token not in known)
