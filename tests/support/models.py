"""Models for tests, built without data."""

from typing import Any

import datasets

from normexp.config.schema import Config
from normexp.data.corpus import Corpus
from normexp.data.vocabulary import Vocabulary
from normexp.model.build import build


def model_of(config: Config, vocabulary: int = 20, classes: int = 0) -> Any:
    """The model of a config for a corpus with so many tokens and classes."""
    return build(config, corpus_of(vocabulary, classes))


def corpus_of(vocabulary: int, classes: int = 0) -> Corpus:
    """A corpus with so many tokens and classes, and no examples."""
    names = tuple(map(str, range(vocabulary)))
    return Corpus("translation", datasets.DatasetDict(), Vocabulary(names), names[:classes], {}, "")
