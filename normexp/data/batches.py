"""Batches by token budget: examples of similar length together, in an order drawn from a generator."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from normexp.data.examples import Example, Examples, Ragged
from normexp.data.vocabulary import BOS, PAD

IGNORE = -100
BLOCK = 1 << 16  # examples


@dataclass(frozen=True, eq=False)
class Batch:
    """What one training step reads.

    source: batch, source token (int64).
    source_mask: batch, source token; True at real tokens; None if there is no padding (attention is faster without).
    target: batch, target token; the decoder's input, which starts with <bos>; None for classification.
        Its padding needs no mask: it comes after every real token, where causal attention never looks.
    labels: batch, target token, with IGNORE at padding; for classification: batch.
    tokens: number of labels that count, known without a transfer from the device; a tensor there in a part of a batch.
    """

    source: Tensor
    source_mask: Tensor | None
    target: Tensor | None
    labels: Tensor
    tokens: int | Tensor

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on a device."""
        move = {
            name: tensor.to(device, non_blocking=True)
            for name, tensor in vars(self).items()
            if isinstance(tensor, Tensor)
        }
        return replace(self, **move)

    def parts(self, count: int) -> "list[Batch]":
        """The same examples in at most `count` batches of nearly equal size."""
        rows = range(len(self.labels))
        size = -(-len(rows) // count)
        return [self._rows(slice(start, start + size)) for start in rows[::size]] if count > 1 else [self]

    def _rows(self, rows: slice) -> "Batch":
        cut = {name: each[rows] for name, each in vars(self).items() if isinstance(each, Tensor)}
        return replace(self, **cut, tokens=(cut["labels"] != IGNORE).sum())

    @property
    def target_mask(self) -> Tensor | None:
        """batch, target token; True at real tokens, for norms that pool over tokens; None for classification."""
        return None if self.target is None else self.labels != IGNORE

    @property
    def size(self) -> int:
        """Source and target tokens, padding included; for classification the source alone."""
        return self.source.numel() + (self.labels.numel() if self.target is not None else 0)

    def permuted(self) -> "Batch":
        """The batch with its sources rolled by one, so that every target is paired with its neighbour's source.

        A batch of one example stays as it is; see `with_source_of`.
        """
        mask = None if self.source_mask is None else self.source_mask.roll(1, 0)
        return replace(self, source=self.source.roll(1, 0), source_mask=mask)

    def with_source_of(self, other: "Batch") -> "Batch":
        """A batch of one example with the last source of another batch in place of its own."""
        mask = None if other.source_mask is None else other.source_mask[-1:]
        return replace(self, source=other.source[-1:], source_mask=mask)


class Batches:
    """The examples of a split, packed once and served epoch by epoch.

    A batch has at most `tokens` tokens: its rows times the sum of the longest source and the longest target, so padding
    counts (classification: the longest source alone). Examples are sorted by length, so the sizes of the batches are
    the same in every epoch; which examples of equal length share a batch is not.

    Nothing is kept but the lengths and an order: a batch reads its examples when it is asked for.

    Raises ValueError if there is no example, or if a single one exceeds the budget.
    """

    def __init__(self, examples: Sequence[Example], tokens: int) -> None:
        if not examples:
            raise ValueError("a split must have at least one example; got none")
        self.examples = Examples.of(examples)
        lengths = self.examples.lengths
        largest = int(lengths.sum(0).max())
        if largest > tokens:
            raise ValueError(
                f"training.batch_tokens must be at least {largest}, the longest example's source and target together; "
                f"got {tokens}"
            )
        self.rank = _rank(*lengths)
        ordered = lengths[:, np.argsort(self.rank, kind="stable")]
        self.cuts = _cuts(ordered, tokens)
        starts, ends = np.array(self.cuts).T
        longest = np.maximum.reduceat(ordered, starts, axis=1).sum(0, dtype=np.int64)
        self.tokens_per_batch = float(np.mean(longest * (ends - starts)))  # padding included, over an epoch

    def __len__(self) -> int:
        return len(self.cuts)

    def epoch(self, generator: torch.Generator | None) -> "Epoch":
        """Every example once, in an order that depends on the generator's state alone; None: always the same order."""
        count, total = len(self), len(self.rank)
        if generator is None:
            return Epoch(self, np.argsort(self.rank, kind="stable"), list(range(count)))
        shuffled = torch.randperm(total, generator=generator).numpy()
        turns = torch.randperm(count, generator=generator).tolist()
        return Epoch(self, shuffled[np.argsort(self.rank[shuffled], kind="stable")], turns)

    def batch(self, rows: NDArray[np.int64]) -> Batch:
        """The batch of these examples."""
        sources, targets = self.examples.sources, self.examples.targets
        source = np.zeros((len(rows), 0), dtype=np.int64) if sources is None else sources.padded(rows, PAD)
        real = source != PAD
        mask = None if real.all() else torch.from_numpy(real)
        if not isinstance(targets, Ragged):
            return Batch(torch.from_numpy(source), mask, None, torch.from_numpy(targets[rows]), len(rows))
        labels = targets.padded(rows, IGNORE)
        target = targets.padded(rows, PAD, before=(BOS,))
        tokens = int((labels != IGNORE).sum())
        return Batch(torch.from_numpy(source), mask, torch.from_numpy(target), torch.from_numpy(labels), tokens)


@dataclass(frozen=True, eq=False)
class Epoch(Sequence[Batch]):
    """The batches of an epoch, each made when it is asked for. order: of the examples; turns: of the batches."""

    batches: Batches
    order: NDArray[np.int64]
    turns: Sequence[int]

    def __len__(self) -> int:
        return len(self.turns)

    @overload
    def __getitem__(self, at: int) -> Batch: ...
    @overload
    def __getitem__(self, at: slice) -> "Epoch": ...
    def __getitem__(self, at: int | slice) -> "Batch | Epoch":
        if isinstance(at, slice):
            return Epoch(self.batches, self.order, self.turns[at])
        return self.batches.batch(self.order[slice(*self.batches.cuts[self.turns[at]])])


def _rank(sources: NDArray[np.int32], targets: NDArray[np.int32]) -> NDArray[Any]:
    """A number per example that sorts by the source's length, then by the target's."""
    base = int(targets.max()) + 1
    narrow = (int(sources.max()) + 1) * base < 2**31  # half the memory
    wide: NDArray[Any] = sources.astype(np.int32 if narrow else np.int64)
    return wide * base + targets


def _cuts(lengths: NDArray[np.int32], tokens: int) -> list[tuple[int, int]]:
    """Start and end of every batch in the examples sorted by length, each as large as the budget allows."""
    cuts, start, widths = [], 0, (0, 0)
    for first in range(0, lengths.shape[1], BLOCK):  # a list of all lengths would be larger than the examples
        block = lengths[:, first : first + BLOCK].T.tolist()
        for row, (source, target) in enumerate(block, first):
            wider = max(widths[0], source), max(widths[1], target)
            if (row + 1 - start) * sum(wider) > tokens:
                cuts.append((start, row))
                start, wider = row, (source, target)
            widths = wider
    return [*cuts, (start, lengths.shape[1])]
