"""What a data config builds: splits, vocabulary, baselines, and a digest that names them."""

import hashlib
import json
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import datasets

from normexp.config.choice import Choice
from normexp.data.baselines import bar
from normexp.data.examples import Example, Examples
from normexp.data.vocabulary import Vocabulary
from normexp.errors import ConfigError

__all__ = ["Corpus", "Example", "build_corpus", "load_corpus"]


@dataclass(frozen=True)
class Corpus:
    """What a data config builds.

    task: "translation", "classification" or "language_modelling". A corpus for translation serves language modelling
        too, which reads its targets alone.
    splits: train, valid, test; a model reads the columns `source` (if any) and `target`, people the others.
    vocabulary: joint for source and target.
    classes: their names by id; () for the other tasks.
    baselines: nats per token or per text, for `task`; always blind and floor. Translation: unigram, position_only,
        target_bigram; classification: class_prior; language modelling: as translation, and longer n-grams.
    digest: sha256 of every row of every split, of the vocabulary, and of the sources.
    methods: how blind and floor were found, a sentence each.
    target_entropy: entropy of the target text per token, in nats, where it is known; 0 elsewhere.
    sources: where text that is not generated came from, such as {"numpy": "2.4.6"}.
    about: what was made of data from outside: its origin, rows read and dropped by split, tokens; plain values.
    """

    task: str
    splits: datasets.DatasetDict
    vocabulary: Vocabulary
    classes: tuple[str, ...]
    baselines: dict[str, float]
    digest: str
    methods: dict[str, str] = field(default_factory=dict)
    target_entropy: float = 0.0
    sources: dict[str, str] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def outputs(self) -> int:
        """V, the number of classes or tokens that a model chooses from."""
        return len(self.classes) or len(self.vocabulary)

    def serves(self, task: str) -> bool:
        """Whether the corpus has what the task reads."""
        return task == self.task or (self.task, task) == ("translation", "language_modelling")

    def baselines_for(self, task: str) -> dict[str, float]:
        """The baselines that a run of `task` is measured against, with blind, floor and bar among them.

        Language modelling on the targets of a translation corpus has its own: the loss of a model that ignores the
        source is what a perfect language model reaches, so the entropy of the target text is the floor there.

        Raises ValueError if the corpus does not serve the task, or does not state blind and floor.
        """
        self._check(task)
        missing = " and ".join(sorted({"blind", "floor"} - set(self.baselines)))
        if missing:
            raise ValueError(f"a corpus must state its baselines blind and floor; {missing} is missing")
        baselines = dict(self.baselines)
        if task != self.task:
            blind = min(baselines["unigram"], baselines["position_only"])
            baselines |= {"blind": blind, "floor": self.target_entropy}
        return baselines | {"bar": bar(task, baselines)}

    def methods_for(self, task: str) -> dict[str, str]:
        """How blind and floor of `task` were found, a sentence each."""
        if task == self.task:
            return self.methods
        known = self.methods.get("blind", "estimate").partition(":")[0]  # the entropy of the targets is blind's, too
        floor = f"{known}: the entropy of the target text" if self.target_entropy else "unknown, so it is 0"
        return {"blind": "estimate: the lower of unigram and position-only", "floor": floor}

    @property
    def summary(self) -> dict[str, Any]:
        """What a reader needs to know of the data, plain values: rows, tokens, methods, and where it came from."""
        rows = {"splits": {str(name): {"rows": len(split)} for name, split in self.splits.items()}}
        tokens = {"tokens": {"vocabulary": len(self.vocabulary)}, "classes": list(self.classes)}
        return rows | tokens | {"methods": self.methods, "sources": self.sources} | self.about

    def examples(self, split: str, task: str = "") -> Examples:
        """The examples of `train`, `valid` or `test`, in the order in which they were drawn; they are not copied.

        task: language_modelling reads the targets alone, with empty sources; by default the task of the corpus.

        Raises ValueError if the corpus does not serve the task.
        """
        task = task or self.task
        self._check(task)
        return Examples.of_split(self.splits[split], sources=task != "language_modelling")

    def _check(self, task: str) -> None:
        if not self.serves(task):
            raise ValueError(f"task must be one that the data serves: it is made for {self.task}; got {task}")


def build_corpus(
    task: str,
    rows: dict[str, list[dict[str, Any]]],
    features: datasets.Features,
    vocabulary: Vocabulary,
    classes: tuple[str, ...],
    baselines: dict[str, float],
    **stated: Any,
) -> Corpus:
    """A corpus from the rows of its splits, held in memory by HF datasets with the given features.

    stated: methods, target_entropy and sources, as in `Corpus`.
    """
    content = [rows, vocabulary.tokens, classes]
    if stated.get("sources"):
        content.append(stated["sources"])
    written = json.dumps(content, ensure_ascii=False, sort_keys=True)
    splits = datasets.DatasetDict(
        {
            name: datasets.Dataset.from_list(split, features=features, split=datasets.NamedSplit(name))
            for name, split in rows.items()
        }
    )
    digest = hashlib.sha256(written.encode()).hexdigest()
    return Corpus(task, splits, vocabulary, classes, baselines, digest, **stated)


def load_corpus(data: Choice) -> Corpus:
    """The corpus of a config's data group; runs in the same process share it.

    Raises ConfigError if it reads files that have changed since the run was planned.
    """
    contents = data.current_contents()
    if data.contents and data.contents != contents:
        changed = ", ".join(f"data.{key}" for key in contents if data.contents.get(key) != contents[key])
        raise ConfigError(f"{changed} has changed since the run was planned; start the same command again")
    return _load(replace(data, contents=contents))


@lru_cache(maxsize=4)
def _load(data: Choice) -> Corpus:
    corpus: Corpus = data.build()
    return corpus
