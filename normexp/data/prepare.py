"""From tables of texts to a corpus: cleaned, split, tokenised, cached, with its baselines.

`normexp.data.files` and its siblings say where tables come from; this is what happens to them whatever their origin.
Everything is read and written in batches, so memory does not grow with the texts.
"""

import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import datasets
import numpy as np

from normexp.data import tokenisers
from normexp.data.assign import Codes, assign
from normexp.data.cache import cache_folder, cached
from normexp.data.clean import Cleaned, clean
from normexp.data.columns import Columns, Table
from normexp.data.contents import SPLIT_NAMES
from normexp.data.corpus import Corpus
from normexp.data.encode import class_names, encode
from normexp.data.estimates import estimates
from normexp.data.examples import Examples
from normexp.data.splits import SPLITS
from normexp.data.store import read_split
from normexp.errors import ConfigError

FORMAT = 3  # raise it when the same data and settings would give other files
SAMPLE = 200_000  # texts that a byte-pair tokeniser is trained on


@dataclass(frozen=True)
class Preparation:
    """How texts become examples.

    tokens: byte_pair (trained on the training part), characters, words (lower-cased), bytes, or the path of a
        tokenizer.json. vocabulary: the most tokens there may be, special ones included.
    longest: tokens of the longest text, <eos> included.
    overlong: what happens to longer ones: `drop`, or `cut`; empty means drop for a translation and cut for the others.
        For language modelling, cut means into several windows, so nothing is lost.
    held_out: the most texts in valid and in test, where they are cut off from train.
    seed: of the choice of what is held out.
    """

    tokens: str = "byte_pair"
    vocabulary: int = 4000
    longest: int = 128
    overlong: str = ""
    held_out: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"vocabulary": tokenisers.smallest(self.tokens), "longest": 2, "held_out": 1}
        for name, bound in least.items():
            if (value := getattr(self, name)) < bound:
                more = " with tokens=byte_pair" if name == "vocabulary" and bound > 5 else ""
                raise ConfigError(f"data.{name} must be at least {bound}{more}; got {value}")
        if self.overlong not in ("", "drop", "cut"):
            raise ConfigError(f"data.overlong must be drop or cut; got {self.overlong}")


def prepare(
    read: Callable[[], Mapping[str, Table]],
    columns: Columns,
    how: Preparation,
    origin: Mapping[str, Any],
    *,
    folder: str = "",
) -> Corpus:
    """The corpus of the splits that `read` returns; read is only called if they are not in the cache.

    read: train, and valid (or validation, dev) and test where they are given, such as a `datasets.DatasetDict`. What is
        not given is cut off from train; see `assign`. A table may have a `where`, its name in messages.
    origin: where the splits come from, plain values, which end up in the provenance. It names the content (a sha256 of
        the file, the commit of a repository), because it is part of the key of the cache.
    folder: where a relative path of a tokenizer.json starts.

    Raises ConfigError, naming the file or split and the row, for what cannot be used.
    """
    asked = {"format": FORMAT, "columns": columns.named, "how": asdict(how), "origin": dict(origin)}
    if how.tokens not in tokenisers.KINDS and (path := Path(folder, Path(how.tokens).expanduser())).is_file():
        asked["tokenizer"] = hashlib.sha256(path.read_bytes()).hexdigest()
    key = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:32]
    where, about = cached(key, partial(_write, read, columns, how, origin, folder))
    return _corpus(where, about)


def _corpus(folder: Path, about: dict[str, Any]) -> Corpus:
    splits = {
        name: read_split(folder, name, about["tokens"]["vocabulary"], about["splits"][name]["sha256"])
        for name in SPLITS
    }
    return Corpus(
        about["task"],
        datasets.DatasetDict(splits),
        tokenisers.load(folder),
        tuple(about["classes"]),
        about["baselines"],
        about["sha256"],
        methods=about["methods"],
        about={key: about[key] for key in ("origin", "splits", "tokens")},
    )


def _write(
    read: Callable[[], Mapping[str, Table]],
    columns: Columns,
    how: Preparation,
    origin: Mapping[str, Any],
    start: str,
    folder: Path,
) -> dict[str, Any]:
    """Fill a folder of the cache; returns what `_corpus` needs to know."""
    source = str(origin.get("path", "the data"))
    if sys.stderr.isatty():
        print(f"preparing {source}; the result is kept in {cache_folder()}", file=sys.stderr)
    tables = {SPLIT_NAMES.get(name, name): table for name, table in read().items()}
    if "train" not in tables:
        raise ConfigError(f"{source} must have a split train; it has {', '.join(tables) or 'none'}")
    classes: dict[str, int] = {}
    with TemporaryDirectory(dir=folder) as scratch:
        rows = {
            name: clean(
                tables[name],
                columns,
                getattr(tables[name], "where", f"{source}, split {name}"),
                Path(scratch, name),
                classes,
                how.seed,
            )
            for name in SPLITS
            if name in tables
        }
        codes = assign(rows, how.held_out)
        names, numbers = class_names(rows, codes, classes) if classes else ([], np.zeros(0, dtype=np.int32))
        texts = _training_texts(rows["train"], codes["train"])
        vocabulary = tokenisers.build(how.tokens, how.vocabulary, texts, start)
        overlong = how.overlong or ("drop" if columns.task == "translation" else "cut")
        splits = encode(columns.task, rows, codes, numbers, vocabulary, how.longest, overlong, folder)
        for name, table in rows.items():
            splits[name]["read"] = table.read
    tokenisers.save(vocabulary, how.tokens, folder)
    train, valid = (
        Examples.of_split(read_split(folder, name, len(vocabulary), splits[name]["sha256"]))
        for name in ("train", "valid")
    )
    baselines, methods = estimates(columns.task, train, valid, len(vocabulary))
    digests = [splits[name]["sha256"] for name in SPLITS]
    written = json.dumps([FORMAT, digests, vocabulary.tokens, names], ensure_ascii=False)
    return {
        "task": columns.task,
        "origin": dict(origin),
        "splits": splits,
        "tokens": {"kind": how.tokens, "vocabulary": len(vocabulary)},
        "classes": names,
        "baselines": baselines,
        "methods": methods,
        "sha256": hashlib.sha256(written.encode()).hexdigest(),
    }


def _training_texts(train: Cleaned, codes: Codes) -> Iterator[list[str]]:
    """The texts that are trained on, in batches: SAMPLE at most, at equal distances, for they make the vocabulary."""
    first = 0
    step = -(-len(codes) // SAMPLE)
    for _, texts in train.batches():
        count = len(next(iter(texts.values())))
        taken = [i for i in range(-first % step, count, step) if codes[first + i] == 0]
        for values in texts.values():
            yield [values[i] for i in taken]
        first += count
