"""Examples as arrays: the ids of all texts of a split in a row, in memory or in a mapped file."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Ids = NDArray[Any]  # of whole numbers, of any width


@dataclass(frozen=True)
class Example:
    """What a model reads and should answer, as ids.

    source: ends in <eos>; empty for language modelling.
    target: a class, or tokens without <bos>. They end in <eos>, unless they are a window of running text.
    """

    source: list[int]
    target: list[int] | int


@dataclass(frozen=True, eq=False)
class Ragged:
    """Rows of ids of different lengths: row i is values[offsets[i]:offsets[i + 1]]."""

    values: Ids
    offsets: Ids

    @classmethod
    def of(cls, rows: "Iterable[Sequence[int]] | Ragged") -> "Ragged":
        """From lists of ids."""
        if isinstance(rows, Ragged):
            return rows
        rows = list(rows)
        offsets = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum([len(row) for row in rows], out=offsets[1:])
        return cls(np.fromiter(chain.from_iterable(rows), dtype=np.int64), offsets)

    @classmethod
    def of_column(cls, column: pa.ChunkedArray) -> "Ragged":
        """From a column of lists; nothing is copied if the column is in one piece."""
        array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()  # which always copies
        if not (pa.types.is_list(array.type) or pa.types.is_large_list(array.type)):
            array = array.cast(pa.large_list(array.type.value_type))
        return cls(_numpy(array.values), _numpy(array.offsets))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> list[int]:
        return self.values[self.offsets[row] : self.offsets[row + 1]].tolist()

    @property
    def lengths(self) -> NDArray[np.int32]:
        """Ids per row."""
        return np.diff(self.offsets).astype(np.int32)

    @property
    def flat(self) -> NDArray[np.int64]:
        """All ids, row after row."""
        return self.values[self.offsets[0] : self.offsets[-1]].astype(np.int64)

    def sample(self, ids: int) -> "Ragged":
        """Rows at equal distances, so many that they hold about this number of ids at most; all rows if they fit."""
        total = int(self.offsets[-1] - self.offsets[0])
        if total <= ids:
            return self
        rows = np.linspace(0, len(self) - 1, max(1, len(self) * ids // total)).astype(np.int64)
        return Ragged.of([self[row] for row in rows.tolist()])

    def padded(self, rows: NDArray[np.int64], fill: int, before: Sequence[int] = ()) -> NDArray[np.int64]:
        """These rows as a matrix, as wide as the longest of them.

        before: ids that every row starts with. They push out as many ids at its end, so the width stays the same.
        """
        starts = self.offsets[rows].astype(np.int64)
        lengths = self.offsets[rows + 1] - starts
        shift = len(before)
        matrix = np.full((len(rows), lengths.max(initial=0)), fill, dtype=np.int64)
        places = np.arange(matrix.shape[1])
        matrix[:, :shift] = np.asarray(before, dtype=np.int64)[: matrix.shape[1]]
        inside = places[None, shift:] < lengths[:, None]
        at = starts[:, None] + places[None, : matrix.shape[1] - shift if shift else None]
        matrix[:, shift:][inside] = self.values[at[inside]]
        return matrix


@dataclass(frozen=True, eq=False)
class Examples(Sequence[Example]):
    """The examples of a split. sources: None for language modelling; targets: an array of classes, or texts."""

    sources: Ragged | None
    targets: Ragged | NDArray[np.int64]

    @classmethod
    def of(cls, examples: "Sequence[Example]") -> "Examples":
        """From a list of examples."""
        if isinstance(examples, Examples):
            return examples
        sources = Ragged.of(example.source for example in examples)
        texts = [example.target for example in examples if isinstance(example.target, list)]
        targets = Ragged.of(texts) if texts else np.array([example.target for example in examples], dtype=np.int64)
        return cls(sources if len(sources.values) else None, targets)

    @classmethod
    def of_table(cls, table: pa.Table, sources: bool) -> "Examples":
        """From the columns `source`, if wanted, and `target` of a table."""
        target = table.column("target")
        nested = pa.types.is_nested(target.type)
        targets = Ragged.of_column(target) if nested else target.to_numpy().astype(np.int64)
        return cls(Ragged.of_column(table.column("source")) if sources else None, targets)

    def __len__(self) -> int:
        return len(self.targets)

    @overload
    def __getitem__(self, at: int) -> Example: ...
    @overload
    def __getitem__(self, at: slice) -> "Examples": ...
    def __getitem__(self, at: int | slice) -> "Example | Examples":
        if isinstance(at, slice):
            return Examples.of([self[row] for row in range(*at.indices(len(self)))])
        row = range(len(self))[at]
        target = self.targets[row]
        return Example(self.sources[row] if self.sources else [], target if isinstance(target, list) else int(target))

    def __iter__(self) -> Iterator[Example]:
        return (self[row] for row in range(len(self)))

    @property
    def lengths(self) -> NDArray[np.int32]:
        """side, example: tokens of source and target; 0 where a side is no text."""
        sides = (self.sources, self.targets)
        none = np.zeros(len(self), dtype=np.int32)
        return np.stack([side.lengths if isinstance(side, Ragged) else none for side in sides])


def _numpy(array: pa.Array) -> Ids:
    return array.to_numpy(zero_copy_only=False)
