"""Texts to the ids of examples, split by split, on disk."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from normexp.data.assign import LEFT_OUT, Codes
from normexp.data.clean import WHOLE, Cleaned
from normexp.data.splits import SPLITS
from normexp.data.store import SplitWriter
from normexp.data.vocabulary import EOS, UNK, Vocabulary
from normexp.errors import ConfigError

# What a text becomes by its role, and what the column for people is called.
SIDES = {
    "translation": {"source": "source", "target": "target"},
    "classification": {"text": "source"},
    "language_modelling": {"text": "target"},
}
SHOWN = {"source": "source_text", "target": "target_text", "text": "text"}
MOST_UNKNOWN = 0.2  # share of <unk> in the training part: above it, a corpus is about <unk>


@dataclass
class _Counts:
    """What happened to the examples of a split."""

    dropped: Counter[str] = field(default_factory=Counter)
    cut: int = 0
    tokens: int = 0
    unknown: int = 0


def encode(
    task: str,
    rows: Mapping[str, Cleaned],
    codes: Mapping[str, Codes],
    classes: NDArray[np.int32],
    vocabulary: Vocabulary,
    longest: int,
    overlong: str,
    folder: Path,
) -> dict[str, dict[str, Any]]:
    """Write the examples of every split to `folder`; returns what to know of each: rows, sha256, what was left out.

    codes: the split of each row. classes: the class by number of the label. longest, overlong: as in `Preparation`.

    Raises ConfigError if a split is left without examples, or most words are unknown.
    """
    sides = SIDES[task]
    counts = {split: _Counts() for split in SPLITS}
    with ExitStack() as stack:
        writers = {
            split: stack.enter_context(
                SplitWriter(folder, split, [*sides.values()], [SHOWN[role] for role in sides], len(vocabulary))
            )
            for split in SPLITS
        }
        for name, table in rows.items():
            counts[name].dropped.update(table.dropped)
            counts[name].dropped["also in valid or test"] = int((codes[name] == LEFT_OUT).sum())
            first = 0
            for _, texts in table.batches():
                ids = {role: vocabulary.encode_all(texts[role]) for role in sides}
                here = codes[name][first : first + len(ids[next(iter(sides))])]
                for code, split in enumerate(SPLITS):
                    chosen = np.flatnonzero(here == code)
                    examples = _fitted(task, ids, texts, chosen, vocabulary, longest, overlong, counts[split])
                    _write(writers[split], sides, list(examples), classes, table.labels[first : first + len(here)])
                first += len(here)
    found = {}
    for split, writer in writers.items():
        count = counts[split]
        if not writer.rows:
            raise ConfigError(
                f"data.longest={longest} leaves no example in {split}; raise it, or set data.overlong=cut"
                if count.dropped["too long"]
                else f"{rows['train'].where} has too few different texts to hold some of them out as {split}"
            )
        found[split] = {
            "rows": writer.rows,
            "sha256": writer.digest,
            "tokens": count.tokens,
            "unknown": count.unknown,
            "longest": writer.most,
            "cut": count.cut,
            "dropped": {reason: number for reason, number in count.dropped.items() if number},
        }
    unknown = counts["train"].unknown / counts["train"].tokens
    if unknown > MOST_UNKNOWN:
        raise ConfigError(
            f"data.vocabulary={len(vocabulary)} leaves {unknown:.0%} of the training part unknown; raise it, or set "
            "data.tokens=byte_pair"
        )
    return found


Fitted = tuple[int, list[list[int]], list[str]]  # place in the batch, ids by side, texts for people


def _fitted(
    task: str,
    ids: Mapping[str, Sequence[list[int]]],
    texts: Mapping[str, Sequence[str]],
    chosen: NDArray[np.int64],
    vocabulary: Vocabulary,
    longest: int,
    overlong: str,
    counts: _Counts,
) -> Iterator[Fitted]:
    """The chosen examples with <eos>, none longer than `longest`."""
    for i in chosen.tolist():
        sides = [[*ids[role][i], EOS] for role in ids]
        shown = [texts[role][i] for role in ids]
        counts.tokens += sum(map(len, sides))
        counts.unknown += sum(side.count(UNK) for side in sides)
        if max(map(len, sides)) <= longest:
            yield i, sides, shown
        elif overlong == "drop":
            counts.dropped["too long"] += 1
        elif task == "language_modelling":
            counts.cut += 1
            for start in range(0, len(sides[0]), longest):
                window = sides[0][start : start + longest]
                yield i, [window], [vocabulary.decode(window)]
        else:
            counts.cut += 1
            yield i, [side if len(side) <= longest else [*side[: longest - 1], EOS] for side in sides], shown


def _write(
    writer: SplitWriter,
    sides: Mapping[str, str],
    examples: Sequence[Fitted],
    classes: NDArray[np.int32],
    labels: NDArray[np.int32],
) -> None:
    if not examples:
        return
    places, ids, texts = zip(*examples, strict=True)
    by_side = dict(zip(sides.values(), zip(*ids, strict=True), strict=True))
    by_column = dict(zip((SHOWN[role] for role in sides), zip(*texts, strict=True), strict=True))
    writer.add(by_side, by_column, classes[labels[list(places)]] if len(labels) else None)


def class_names(
    rows: Mapping[str, Cleaned], codes: Mapping[str, Codes], numbers: Mapping[str, int]
) -> tuple[list[str], NDArray[np.int32]]:
    """The classes in order, and the class by number of the label.

    Whole numbers are in the order of their values, other labels in alphabetical order. Raises ConfigError for a label
    that does not occur in the training part, for a single class, and for labels that hardly ever repeat.
    """
    train = rows["train"]
    labels = list(numbers)
    seen = np.unique(train.labels[codes["train"] == 0])
    for name, table in rows.items():
        unseen = np.flatnonzero(np.isin(table.labels, seen, invert=True) & (codes[name] != LEFT_OUT))
        if len(unseen):
            row = np.concatenate([found for found, _ in table.batches()])[unseen[0]]
            label = labels[table.labels[unseen[0]]]
            raise ConfigError(f"{table.where}, row {row}: label {label} does not occur in the training part")
    if len(seen) == 1:
        raise ConfigError(f"{train.where} must have at least two classes; every label is {labels[seen[0]]}")
    if 2 * len(seen) > len(train.labels):
        raise ConfigError(
            f"{train.where} has {len(seen):,} different labels in {len(train.labels):,} rows; data.label must be a "
            "column of classes"
        )
    known = [labels[number] for number in seen.tolist()]
    names = sorted(known, key=int) if all(map(WHOLE.fullmatch, known)) else sorted(known)
    order = np.zeros(len(labels), dtype=np.int32)
    order[[numbers[name] for name in names]] = np.arange(len(names))
    return names, order
