"""Rows of a table, checked and written to disk one batch after the other: text that can be used, and a key per row."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from normexp.data.columns import Columns, Table, column
from normexp.errors import ConfigError

ROWS = 4096  # per batch
LONGEST_TEXT = 1_000_000  # characters of a source, a target, or a text with a label
DECIMAL = re.compile(r"[+-]?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][+-]?\d+)?|nan|inf", re.IGNORECASE)
SURROGATE = re.compile("[\ud800-\udfff]")
WHOLE = re.compile(r"[+-]?\d+")


@dataclass(frozen=True, eq=False)
class Cleaned:
    """The rows of one table that can be used, in a file of Arrow batches.

    where: file or split, for messages. keys: 64 bits of what must not be both trained on and held out: the source or
    the text, but for case and white space. labels: class numbers; empty without a label. read: rows of the table.
    dropped: how many rows are left out, by reason.
    """

    path: Path
    where: str
    keys: NDArray[np.uint64]
    labels: NDArray[np.int32]
    read: int
    dropped: dict[str, int]

    def batches(self) -> Iterator[tuple[NDArray[np.int64], dict[str, list[str]]]]:
        """The numbers of the rows in their table, from 1, and their texts by role; not mapped, so memory stays low."""
        with pa.OSFile(str(self.path), "rb") as file, pa.ipc.open_stream(file) as stream:
            for batch in stream:
                values = batch.to_pydict()
                yield np.asarray(values.pop("row"), dtype=np.int64), values


def clean(table: Table, columns: Columns, where: str, path: Path, classes: dict[str, int], seed: int) -> Cleaned:
    """Check the rows of a table and write those that can be used to `path`.

    classes: number by label; labels that it lacks are added. seed: of the keys.

    Rows with an empty text or no label are left out. Raises ConfigError, naming the row, for anything else that is not
    a text or a class.
    """
    names = columns.named
    roles = [role for role in names if role != "label"]
    label_names = _label_names(table, columns.label)
    keys: list[NDArray[np.uint64]] = []
    labels: list[NDArray[np.int32]] = []
    dropped: Counter[str] = Counter()
    read = 0
    schema = pa.schema([("row", pa.int64()), *((role, pa.large_string()) for role in roles)])
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, schema) as writer:
        for batch in table.iter(batch_size=ROWS):
            values = {role: column(batch, name, where, known=read > 0) for role, name in names.items()}
            texts = [_texts(values[role], names[role], where, read, columns.task) for role in roles]
            found = [_label(v, where, read + i, label_names) for i, v in enumerate(values.get("label", ()), 1)]
            kept = [
                i for i, row in enumerate(zip(*texts, strict=True)) if all(row) and not (found and found[i] is None)
            ]
            count = len(texts[0])
            empty = sum(not all(row) for row in zip(*texts, strict=True))
            dropped["empty"] += empty
            dropped["no label"] += count - len(kept) - empty
            chosen = [[str(text[i]) for i in kept] for text in texts]
            writer.write_batch(
                pa.record_batch([pa.array([read + i + 1 for i in kept], pa.int64()), *chosen], schema=schema)
            )
            keys.append(np.fromiter((_key(text, seed) for text in chosen[0]), dtype=np.uint64, count=len(kept)))
            labels.append(
                np.array([classes.setdefault(str(found[i]), len(classes)) for i in kept if found], dtype=np.int32)
            )
            read += count
    counted = {reason: count for reason, count in dropped.items() if count}
    if not any(map(len, keys)):
        raise ConfigError(f"{where} must have rows with text; {_why(read, counted)}")
    return Cleaned(path, where, np.concatenate(keys), np.concatenate(labels), read, counted)


def _why(read: int, dropped: Mapping[str, int]) -> str:
    if not read:
        return "it has none"
    words = {"empty": "are empty", "no label": "have no label"}
    return " and ".join(f"{count:,} of its {read:,} {words[reason]}" for reason, count in dropped.items())


def _texts(values: Sequence[Any], name: str, where: str, before: int, task: str) -> list[str]:
    """The texts of a column; empty where there is nothing but white space. before: rows of earlier batches."""
    texts = []
    for row, value in enumerate(values, before + 1):
        if value is None:
            texts.append("")
            continue
        if not isinstance(value, str):
            raise ConfigError(f"{where}, row {row}: {name} must be text; got {_shown(value)}")
        if "\0" in value or SURROGATE.search(value):
            wrong = "a NUL character" if "\0" in value else "half of a surrogate pair"
            raise ConfigError(f"{where}, row {row}: {name} has {wrong}; remove it")
        if len(value) > LONGEST_TEXT and task != "language_modelling":
            raise ConfigError(
                f"{where}, row {row}: {name} must have at most {LONGEST_TEXT:,} characters; got {len(value):,}"
            )
        texts.append("" if value.isspace() else value)
    return texts


def _label(value: Any, where: str, row: int, names: Sequence[str]) -> str | None:
    """The label as text, None where there is none. names: of the classes, where the table has numbers for them."""
    value = value.strip() if isinstance(value, str) else value
    if value is None or value != value or value == "":  # NaN is how pandas writes a missing value
        return None
    if isinstance(value, bool) or (isinstance(value, str) and (WHOLE.fullmatch(value) or not DECIMAL.fullmatch(value))):
        return str(value)
    if isinstance(value, int):
        if names and value < 0:
            return None  # a test set whose labels are withheld
        return names[value] if names else str(value)
    raise ConfigError(
        f"{where}, row {row}: data.label must be a column of classes, text or whole numbers; got {_shown(value)}"
    )


def _label_names(table: Table, label: str) -> Sequence[str]:
    feature = (getattr(table, "features", None) or {}).get(label) if label else None
    return getattr(feature, "names", None) or ()


def _key(text: str, seed: int) -> int:
    folded = " ".join(text.split()).casefold()
    hashed = hashlib.blake2b(folded.encode(), digest_size=8, key=str(seed).encode())
    return int.from_bytes(hashed.digest(), "big")


def _shown(value: Any) -> str:
    text = str(value)
    return f"{text if len(text) <= 40 else text[:40] + '…'} ({type(value).__name__})"
