"""Whether a text's output depends on the rest of its batch."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from normexp.cards.case import SOURCES, TARGETS, Case, copied, other
from normexp.cards.finding import Found
from normexp.cards.places import OTHER_SHAPE, SAME_SHAPE, first_change
from normexp.data.batches import IGNORE, Batch

TEXT = 1  # the one with padding


def independent_of_batch(case: Case) -> Found:
    """The other texts are replaced, then what is in the padding; then the text is read alone, without padding."""
    batch = case.batch()
    for moved in (False, True):
        model = case.model(moved=moved)
        twin = copied(model)  # reads only what is changed, for a variant may keep what it read first
        for training in (True, False):
            before = case.trace(model, batch, training=training)
            for changed, why in (
                (_with_other_neighbours(batch), "when the other texts of the batch change"),
                (_with_other_padding(batch), "with the content of its padding"),
            ):
                after = case.trace(twin, changed, training=training)
                if at := first_change(before, after, _of_text(TEXT), None, SAME_SHAPE):
                    return Found(f"{at}, changes {why}")
        alone = case.trace(twin, _alone(batch), training=False)
        if at := first_change(before, alone, _of_text(TEXT), _of_text(0), OTHER_SHAPE):
            return Found(f"{at}, changes when the text is read alone, without padding")
    return Found()


def _of_text(row: int) -> Callable[[str, Tensor], Tensor | None]:
    """The real tokens of the text in this row of the batch."""

    def part(name: str, x: Tensor) -> Tensor:
        if x.dim() == 2:  # a label for the whole text
            return x[row]
        return x[row, : (SOURCES if name.startswith("encoder") else TARGETS)[TEXT]]

    return part


def _with_other_neighbours(batch: Batch) -> Batch:
    here = torch.arange(len(batch.source))[:, None] == TEXT
    target = batch.target
    return replace(
        batch,
        source=torch.where(here, batch.source, other(batch.source)),
        target=None if target is None else torch.where(here, target, other(target)),
    )


def _with_other_padding(batch: Batch) -> Batch:
    source, target = batch.source, batch.target
    if batch.source_mask is not None:
        source = torch.where(batch.source_mask, source, other(source))
    if target is not None:
        target = torch.where(batch.labels == IGNORE, other(target), target)
    return replace(batch, source=source, target=target)


def _alone(batch: Batch) -> Batch:
    source = batch.source[TEXT : TEXT + 1, : SOURCES[TEXT]]
    if batch.target is None:
        return Batch(source, None, None, batch.labels[TEXT : TEXT + 1], 1)
    target, labels = (x[TEXT : TEXT + 1, : TARGETS[TEXT]] for x in (batch.target, batch.labels))
    return Batch(source, None, target, labels, TARGETS[TEXT])
