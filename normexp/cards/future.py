"""Whether a decoder reads tokens that come later."""

from collections.abc import Callable
from dataclasses import replace

from torch import Tensor

from normexp.cards.case import Case, copied, other
from normexp.cards.finding import Found
from normexp.cards.places import OTHER_SHAPE, SAME_SHAPE, first_change
from normexp.data.batches import Batch

CUTS = (1, 3)  # tokens that must not notice what comes after them


def reads_no_future(case: Case) -> Found:
    """Tokens of the target after a cut are replaced, then left out; nothing before the cut may change.

    Both in training mode and in evaluation, with the initial weights and with noise on them.
    """
    batch = case.batch()
    if batch.target is None:
        return Found(note="there is no decoder")
    for moved in (False, True):
        model = case.model(moved=moved)
        twin = copied(model)  # reads only what is changed, for a variant may keep what it read first
        for training in (True, False):
            before = case.trace(model, batch, training=training)
            for cut in CUTS:
                after = case.trace(twin, _replaced(batch, cut), training=training)
                if at := first_change(before, after, _until(cut), None, SAME_SHAPE):
                    return Found(f"{at}, changes at {_before(cut)} when later tokens change")
        for cut in CUTS:  # in evaluation, as the last trace was
            after = case.trace(twin, _shortened(batch, cut), training=False)
            if at := first_change(before, after, _until(cut), None, OTHER_SHAPE):
                return Found(f"{at}, changes at {_before(cut)} when later tokens are left out")
    return Found()


def _until(cut: int) -> Callable[[str, Tensor], Tensor | None]:
    """The tokens of the decoder before the cut.   batch, token, …"""
    return lambda name, x: x[:, :cut] if name.startswith(("decoder", "logits")) else None


def _before(cut: int) -> str:
    return "the first token" if cut == 1 else f"the first {cut} tokens"


def _replaced(batch: Batch, cut: int) -> Batch:
    assert batch.target is not None
    target = batch.target.clone()
    target[:, cut:] = other(target[:, cut:])
    return replace(batch, target=target)


def _shortened(batch: Batch, cut: int) -> Batch:
    assert batch.target is not None
    return replace(batch, target=batch.target[:, :cut], labels=batch.labels[:, :cut])
