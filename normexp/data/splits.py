"""Which values are held out: the split of a value is a function of the value alone."""

import hashlib
from collections.abc import Callable, Collection, Hashable
from random import Random
from typing import Any, TypeVar

from normexp.data.phrases import draw

SPLITS = ("train", "valid", "test")
PATIENCE = 2000  # draws in a row without a new phrase, after which the kinds count as exhausted
Row = TypeVar("Row")


def split_of(value: Any) -> str:
    """The split of a value, by the sha256 of its repr: 8 of 10 train, 1 valid, 1 test.

    It depends on nothing else, so a value that is held out once is held out for every seed, size and language.
    """
    return {8: "valid", 9: "test"}.get(fingerprint(value) % 10, "train")


def fingerprint(value: Any) -> int:
    """64 bits of the sha256 of the value's repr."""
    return int.from_bytes(hashlib.sha256(repr(value).encode()).digest()[:8], "big")


def sizes(key: str, count: int) -> dict[str, int]:
    """Rows per split: a tenth in valid, a tenth in test, the rest in train.

    Raises ValueError, naming the config key `key`, if `count` is below 10.
    """
    if not isinstance(count, int) or count < 10:
        raise ValueError(f"{key} must be at least 10; got {count!r}")
    return {"train": count - 2 * (count // 10), "valid": count // 10, "test": count // 10}


def collect(
    key: str,
    count: int,
    kinds: tuple[str, ...],
    seed: int,
    row: Callable[[tuple[str, Any]], Row | None],
    readings: Callable[[Row], Collection[Hashable]],
) -> dict[str, list[Row]]:
    """Rows of `count` values drawn with `seed`: a tenth in valid, a tenth in test, the rest in train.

    row: writes a value, or returns None if it cannot be written.
    readings: what a model would read of a row. A row that shares a reading with an earlier one is dropped, so values
        are drawn without replacement and no phrase is in two splits.

    Raises ValueError, naming the config key `key`, if `count` is below 10 or there are fewer values.
    """
    room = sizes(key, count)
    random = Random(seed)
    rows: dict[str, list[Row]] = {split: [] for split in SPLITS}
    seen: set[Hashable] = set()
    total = in_vain = 0
    while total < count:
        if in_vain == PATIENCE:
            raise ValueError(
                f"{key} must be at most the number of distinct phrases, which is about {total} for "
                f"{', '.join(kinds)}; got {count}: lower it, or add kinds"
            )
        in_vain += 1
        value = draw(random, kinds)
        split = split_of(value)
        if len(rows[split]) == room[split] or (found := row(value)) is None:
            continue
        read = readings(found)
        if seen.isdisjoint(read):
            seen.update(read)
            rows[split].append(found)
            total, in_vain = total + 1, 0
    return rows
