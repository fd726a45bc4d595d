from itertools import chain
from random import Random

import pytest
import torch

from normexp.data.batches import IGNORE, Batches
from normexp.data.corpus import Example
from normexp.data.translation import cldr_phrases
from normexp.data.vocabulary import BOS, EOS, PAD

BUDGET = 120


@pytest.fixture
def examples():
    """Lengths 2 to 13; the number that names an example comes first on both sides."""
    random = Random(0)

    def ids(name):
        return [name, *(random.randrange(4, 20) for _ in range(random.randrange(12))), EOS]

    return [Example(ids(100 + i), ids(100 + i)) for i in range(300)]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def names(batches):
    return [batch.source[:, 0].tolist() for batch in batches]


@pytest.mark.parametrize("order", [None, 0, 1])
def test_every_example_once_within_the_budget(examples, order):
    epoch = Batches(examples, BUDGET).epoch(None if order is None else generator(order))
    assert sorted(chain(*names(epoch))) == list(range(100, 400))
    for batch in epoch:
        assert batch.source.numel() + batch.target.numel() <= BUDGET
        assert batch.source.dtype == batch.target.dtype == batch.labels.dtype == torch.int64


def test_a_batch_holds_its_examples_and_padding_alone(examples):
    by_name = {e.source[0]: e for e in examples}
    for batch in Batches(examples, BUDGET).epoch(generator()):
        everywhere = torch.ones_like(batch.source, dtype=torch.bool)
        mask = everywhere if batch.source_mask is None else batch.source_mask
        for row, name in enumerate(batch.source[:, 0].tolist()):
            example = by_name[name]
            length = len(example.target)
            assert batch.source[row][mask[row]].tolist() == example.source
            assert (batch.source[row][~mask[row]] == PAD).all()
            assert batch.labels[row, :length].tolist() == example.target
            assert (batch.labels[row, length:] == IGNORE).all()
            assert batch.target[row, :length].tolist() == [BOS, *example.target[:-1]]
            assert (batch.target[row, length:] == PAD).all()
        assert batch.tokens == (batch.labels != IGNORE).sum().item()
        assert mask[:, -1].any()
        assert (batch.labels[:, -1] != IGNORE).any()
        if batch.source_mask is not None:
            assert not mask.all()


def test_the_order_is_a_function_of_the_generator_alone(examples):
    batches = Batches(examples, BUDGET)
    state = generator()
    first, second = batches.epoch(state), batches.epoch(state)
    again = Batches(examples, BUDGET)
    torch.manual_seed(5)
    state = generator()
    assert names(again.epoch(state)) == names(first)
    assert names(again.epoch(state)) == names(second) != names(first)
    assert {frozenset(batch) for batch in names(first)} != {frozenset(batch) for batch in names(second)}
    assert names(batches.epoch(None)) == names(again.epoch(None))
    assert len(first) == len(second) == len(batches)


def test_a_fixed_order_draws_nothing(examples):
    before = torch.get_rng_state()
    Batches(examples, BUDGET).epoch(None)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.slow
@pytest.mark.parametrize(("kinds", "least"), [(["date"], 0.99), (["date", "time", "unit", "list"], 0.93)])
def test_buckets_hold_little_padding(kinds, least):
    examples = cldr_phrases(kinds=kinds, pairs=3000).examples("train")
    epoch = Batches(examples, 1200).epoch(generator())
    held = sum(batch.source.numel() + batch.target.numel() for batch in epoch)
    real = sum(len(e.source) + len(e.target) for e in examples)
    assert real / held > least
    assert sum(batch.source_mask is None for batch in epoch) > len(epoch) / 2


def test_permuted_gives_every_target_its_neighbours_source(examples):
    for batch in Batches(examples, BUDGET).epoch(generator()):
        rolled = batch.permuted()
        rows = len(batch.source)
        assert rolled.source[:, 0].tolist() == [batch.source[row - 1, 0] for row in range(rows)]
        assert rolled.labels is batch.labels
        assert rolled.target is batch.target
        if batch.source_mask is not None:
            assert torch.equal(rolled.source_mask, rolled.source != PAD)


def test_a_batch_of_one_can_have_the_last_source_of_another(examples):
    one, other = Batches(examples[:1], BUDGET).epoch(None)[0], Batches(examples[1:5], BUDGET).epoch(None)[0]
    mixed = one.with_source_of(other)
    assert mixed.source.tolist() == other.source[-1:].tolist()
    assert mixed.labels is one.labels


def test_classes_are_labels_without_a_target(examples):
    classified = [Example(e.source, e.source[0] % 3) for e in examples]
    epoch = Batches(classified, BUDGET).epoch(generator())
    assert sorted(chain(*names(epoch))) == list(range(100, 400))
    for batch in epoch:
        assert batch.target is None
        assert batch.source.numel() <= BUDGET
        assert batch.labels.tolist() == [name % 3 for name in batch.source[:, 0].tolist()]
        assert batch.tokens == len(batch.labels)


def test_a_batch_moves_as_a_whole(examples):
    moved = Batches(examples, BUDGET).epoch(None)[3].to("meta")
    assert moved.source.device == moved.target.device == moved.labels.device == torch.device("meta")
    assert moved.tokens > 0


def test_what_cannot_be_batched_is_refused(examples):
    with pytest.raises(ValueError, match=r"training\.batch_tokens must be at least 25, .*; got 10"):
        Batches(examples, 10)
    with pytest.raises(ValueError, match="at least one example"):
        Batches([], 100)
