"""What a data config builds: splits, vocabulary, baselines, and a digest that names them."""

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import datasets

from normexp.config.choice import Choice
from normexp.data.vocabulary import Vocabulary


@dataclass(frozen=True)
class Example:
    """What a model reads and should answer, as ids.

    `source` ends in <eos>, or is empty where nothing is read. `target` is a class, or tokens that end in <eos> and do
    not start with <bos>.
    """

    source: list[int]
    target: list[int] | int


@dataclass(frozen=True)
class Corpus:
    """What a data config builds.

    task: "translation" or "classification".
    splits: train, valid, test; a model reads the columns `source` and `target`, a person the others.
    vocabulary: joint for source and target.
    classes: their names by id; () for translation.
    levels: nats per token, of the training part. Translation: unigram, position_only, target_bigram;
        classification: class_prior.
    digest: sha256 of every row of every split, and of the vocabulary.
    """

    task: str
    splits: datasets.DatasetDict
    vocabulary: Vocabulary
    classes: tuple[str, ...]
    baselines: dict[str, float]
    digest: str

    def examples(self, split: str, task: str = "") -> list[Example]:
        """The examples of `train`, `valid` or `test`, in the order in which they were drawn.

        task: language_modelling reads the targets of a translation corpus alone, with empty sources.
        """
        rows = self.splits[split][:]
        sources = [[]] * len(rows["target"]) if task == "language_modelling" else rows["source"]
        return [Example(*row) for row in zip(sources, rows["target"], strict=True)]


def corpus(
    task: str,
    rows: dict[str, list[dict[str, Any]]],
    features: datasets.Features,
    vocabulary: Vocabulary,
    classes: tuple[str, ...],
    baselines: dict[str, float],
) -> Corpus:
    """A corpus from the rows of its splits, held in memory by HF datasets with the given features."""
    written = json.dumps([rows, vocabulary.tokens, classes], ensure_ascii=False, sort_keys=True)
    splits = datasets.DatasetDict(
        {
            name: datasets.Dataset.from_list(split, features=features, split=datasets.NamedSplit(name))
            for name, split in rows.items()
        }
    )
    digest = hashlib.sha256(written.encode()).hexdigest()
    return Corpus(task, splits, vocabulary, classes, baselines, digest)


@lru_cache(maxsize=4)
def load_corpus(data: Choice) -> Corpus:
    """The corpus of a config's data group; runs in the same process share it."""
    corpus: Corpus = data.build()
    return corpus
