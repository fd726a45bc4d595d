"""Batches by token budget: examples of similar length together, in an order drawn from a generator."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from normexp.data.corpus import Example
from normexp.data.vocabulary import BOS, PAD

IGNORE = -100


@dataclass(frozen=True, eq=False)
class Batch:
    """What one training step reads.

    source: batch, source token (int64).
    source_mask: batch, source token; True at real tokens; None if there is no padding (attention is faster without).
    target: batch, target token; the decoder's input, which starts with <bos>; None for classification.
        Its padding needs no mask: it comes after every real token, where causal attention never looks.
    labels: batch, target token, with IGNORE at padding; for classification: batch.
    tokens: number of labels that count, known without a transfer from the device.
    """

    source: Tensor
    source_mask: Tensor | None
    target: Tensor | None
    labels: Tensor
    tokens: int

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on a device."""
        move = {
            name: tensor.to(device, non_blocking=True)
            for name, tensor in vars(self).items()
            if isinstance(tensor, Tensor)
        }
        return replace(self, **move)  # type: ignore[arg-type]

    @property
    def target_mask(self) -> Tensor | None:
        """batch, target token; True at real tokens, for norms that pool over tokens; None for classification."""
        return None if self.target is None else self.labels != IGNORE

    def permuted(self) -> "Batch":
        """The batch with its sources rolled by one, so that every target is paired with its neighbour's source.

        A batch of one example stays as it is.
        """
        mask = None if self.source_mask is None else self.source_mask.roll(1, 0)
        return replace(self, source=self.source.roll(1, 0), source_mask=mask)


class Batches:
    """The examples of a split, packed once and served epoch by epoch.

    A batch has at most `tokens` tokens: its rows times the sum of the longest source and the longest target, so padding
    counts (classification: the longest source alone). Examples are sorted by length, so the sizes of the batches are
    the same in every epoch; which examples of equal length share a batch is not.

    Raises ValueError if there is no example, or if a single one exceeds the budget.
    """

    def __init__(self, examples: Sequence[Example], tokens: int) -> None:
        if not examples:
            raise ValueError("a split must have at least one example; got none")
        self.source, source_lengths = _padded([example.source for example in examples], PAD)
        targets = [example.target for example in examples if isinstance(example.target, list)]
        self.target: Tensor | None = None
        if targets:
            self.labels, target_lengths = _padded(targets, IGNORE)
            self.target, _ = _padded([[BOS, *target[:-1]] for target in targets], PAD)
        else:
            self.labels = torch.tensor([example.target for example in examples])
            target_lengths = np.zeros_like(source_lengths)
        self.lengths = np.stack([source_lengths, target_lengths])
        self.rank = source_lengths * (target_lengths.max() + 1) + target_lengths
        largest = int(self.lengths.sum(0).max())
        if largest > tokens:
            raise ValueError(
                f"training.batch_tokens must be at least {largest}, the longest example's source and target together; "
                f"got {tokens}"
            )
        self.cuts = _cuts(self.lengths[:, np.argsort(self.rank, kind="stable")], tokens)

    def __len__(self) -> int:
        return len(self.cuts)

    def epoch(self, generator: torch.Generator | None) -> list[Batch]:
        """Every example once, in an order that depends on the generator's state alone; None: always the same order."""
        count, total = len(self), len(self.rank)
        if generator is None:
            shuffled, turns = np.arange(total), list(range(count))
        else:
            shuffled = torch.randperm(total, generator=generator).numpy()
            turns = torch.randperm(count, generator=generator).tolist()
        order = shuffled[np.argsort(self.rank[shuffled], kind="stable")]
        return [self._batch(order[slice(*self.cuts[turn])]) for turn in turns]

    def _batch(self, rows: NDArray[np.int64]) -> Batch:
        source_lengths, target_lengths = self.lengths[:, rows]
        source_width, target_width = int(source_lengths.max()), int(target_lengths.max())
        index = torch.from_numpy(rows)
        source = self.source[index, :source_width]
        mask = None if source_lengths.min() == source_width else source != PAD
        if self.target is None:
            return Batch(source, mask, None, self.labels[index], len(rows))
        target, labels = self.target[index, :target_width], self.labels[index, :target_width]
        return Batch(source, mask, target, labels, int(target_lengths.sum()))


def _padded(rows: Sequence[Sequence[int]], fill: int) -> tuple[Tensor, NDArray[np.int64]]:
    """Rows of ids as one matrix, and their lengths."""
    lengths = np.array([len(row) for row in rows])
    matrix = np.full((len(rows), lengths.max()), fill, dtype=np.int64)
    matrix[np.arange(matrix.shape[1]) < lengths[:, None]] = [i for row in rows for i in row]
    return torch.from_numpy(matrix), lengths


def _cuts(lengths: NDArray[np.int64], tokens: int) -> list[tuple[int, int]]:
    """Start and end of every batch in the examples sorted by length, each as large as the budget allows."""
    cuts, start, widths = [], 0, (0, 0)
    for row, (source, target) in enumerate(lengths.T.tolist()):
        wider = max(widths[0], source), max(widths[1], target)
        if (row + 1 - start) * sum(wider) > tokens:
            cuts.append((start, row))
            start, wider = row, (source, target)
        widths = wider
    return [*cuts, (start, lengths.shape[1])]
