import re
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.datasets import load_wine

from normexp.data.tables import TABLES, tables


@pytest.mark.slow
@pytest.mark.parametrize(
    ("table", "rows", "features"), [("breast_cancer", 569, 30), ("iris", 150, 4), ("wine", 178, 13)]
)
def test_a_row_is_one_token_per_feature(table, rows, features):
    corpus = tables(table)
    assert sum(corpus.splits.num_rows.values()) == rows
    for row in corpus.splits["train"]:
        assert [int(token.split(":")[0]) for token in row["text"].split()] == list(range(features))
        assert len(row["source"]) == features + 1
    assert corpus.baselines["blind"] == corpus.baselines["class_prior"] > 0.6


@pytest.mark.slow
def test_bins_keep_the_order_of_values_and_have_as_many_rows():
    corpus = tables("wine", bins=4)
    values = load_wine().data[:, 12]  # proline, nearly all different
    bins = [int(text.split()[12].split(":")[1]) for split in corpus.splits.values() for text in split["text"]]
    assert sorted(Counter(bins)) == [0, 1, 2, 3]
    train = [int(text.split()[12].split(":")[1]) for text in corpus.splits["train"]["text"]]
    assert max(Counter(train).values()) - min(Counter(train).values()) <= 3
    edges = np.sort(values)[np.cumsum(np.bincount(bins))[:-1]]
    assert Counter(np.searchsorted(edges, values, side="right").tolist()) == Counter(bins)


@pytest.mark.slow
def test_a_feature_with_few_values_has_few_bins():
    corpus = tables("digits", bins=8)
    first = {text.split()[0] for split in corpus.splits.values() for text in split["text"]}
    assert len(first) == 1  # the corner of an image is always white


@pytest.mark.slow
def test_equal_rows_are_in_one_split(monkeypatch):
    """Sixty rows, each of them twice; the class says which they are."""
    values = np.random.default_rng(0).normal(size=(60, 3))
    twice = SimpleNamespace(data=np.tile(values, (2, 1)), target=np.tile(np.arange(60), 2), target_names=np.arange(60))
    monkeypatch.setattr("normexp.data.tables.load_bundled", lambda name: twice)
    splits = tables("iris").splits
    classes = {name: Counter(split["target"][:]) for name, split in splits.items()}
    assert sum(map(len, classes.values())) == 60
    assert all(set(counts.values()) == {2} for counts in classes.values())


@pytest.mark.slow
def test_a_seed_changes_the_order_alone():
    one, other = tables("wine"), tables("wine", seed=1)
    assert one.digest == tables("wine").digest != other.digest
    assert sorted(one.splits["test"]["text"]) == sorted(other.splits["test"]["text"])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"table": "titanic"}, f"data.table must be one of {', '.join(TABLES)}; got titanic"),
        ({"bins": 1}, "data.bins must be at least 2; got 1"),
    ],
)
def test_bad_options_get_one_sentence(options, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        tables(**options)
