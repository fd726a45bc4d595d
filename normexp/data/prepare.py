"""From tables of texts to a corpus: cleaned, split, tokenised, cached, with its baselines.

Where the tables come from, a file or the Hub, is the affair of `normexp.data.files` and its siblings.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from normexp.data.columns import Columns, Table
from normexp.data.corpus import Corpus
from normexp.data.text import text_pairs
from normexp.errors import ConfigError


@dataclass(frozen=True)
class Preparation:
    """How texts become examples.

    tokens: byte_pair (trained on the training split), characters, words (lower-cased), bytes, or the path of a
        tokenizer.json. vocabulary: the most tokens there may be, special ones included.
    longest: tokens of the longest text, <eos> included. overlong: drop longer texts, or cut them.
    held_out: the most examples in valid and in test, where they are cut off from train.
    seed: of the choice of what is held out.
    """

    tokens: str = "byte_pair"
    vocabulary: int = 4000
    longest: int = 128
    overlong: str = "drop"
    held_out: int = 1000
    seed: int = 0


def prepare(
    read: Callable[[], Mapping[str, Table]], columns: Columns, how: Preparation, origin: Mapping[str, Any]
) -> Corpus:
    """The corpus of the splits that `read` returns; read is only called if they are not in the cache.

    read: train, and valid (or validation) and test where they are given, such as a `datasets.DatasetDict`. What is not
        given is cut off from train: texts that are equal, but for case and white space, go to the same split.
    origin: where the splits come from, plain values, which end up in the provenance. It names the content (a sha256 of
        the file, the commit of a repository), because it is part of the key of the cache.

    Raises ConfigError, naming the split and the row, for what cannot be used.
    """
    tables = read()
    if columns.task != "translation":
        raise ConfigError("not yet")
    pairs = [
        pair
        for batch in tables["train"].iter(batch_size=1000)
        for pair in zip(batch[columns.source], batch[columns.target], strict=True)
    ]
    return text_pairs(pairs, tokens=how.tokens, seed=how.seed)
