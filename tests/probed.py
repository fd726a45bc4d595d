"""What tests of probes share: small trainers, readings as a series, and streams caught by hooks, without a trace."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from typing import Any

import pandas as pd
import torch
from tiny import TINY
from torch import Tensor

from normexp.data.batches import Batch
from normexp.launch import Composer
from normexp.probes.moment import Moment, unchanged_buffers
from normexp.probes.probe import Probe
from normexp.run import corpus_of
from normexp.training.trainer import Trainer

NORMED_STREAM = ("post_ln", "b2t", "deep_norm", "admin", "resi_dual", "no_residual")  # the norm's output is the stream


def trainer_of(*line: str) -> Trainer:
    """Of two layers and no dropout, with what its variant takes from data; a task on the line leaves out what only
    translation reads."""
    task = next((word.partition("=")[2] for word in line if word.startswith("task=")), "translation")
    unread = {"translation": (), "language_modelling": ("record",), "classification": ("record", "data")}[task]
    tiny = [word for word in TINY if word.partition(".")[0] not in unread]
    base = ("depth=2", "model.dropout=0", "model.attention_dropout=0")
    config = Composer("train", []).resolve([*tiny, *base, *line])
    return Trainer(config, corpus_of(config)).calibrate()


def padded(trainer: Trainer) -> Batch:
    """A batch with padding among what every stack reads."""
    stacks = [stack.shape.stack for stack in trainer.model.stacks]
    return next(batch for batch in islice(trainer.data(), 100) if all(some_padding(batch, stack) for stack in stacks))


def some_padding(batch: Batch, stack: str) -> bool:
    mask = batch.source_mask if stack == "encoder" else batch.target_mask
    return mask is not None and not bool(mask.all())


def measured(probe: Probe, moment: Moment) -> pd.Series:
    """Values by stack, layer, site and statistic."""
    frame = probe.measure(moment).frame(1)
    assert not frame.duplicated(["stack", "layer", "site", "statistic"]).any()
    return frame.set_index(["stack", "layer", "site", "statistic"])["value"]


@contextmanager
def nothing_changes(trainer: Trainer) -> Iterator[None]:
    """Weights, buffers and gradients are the same after the block as before it."""
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    grads = [None if p.grad is None else p.grad.clone() for p in trainer.model.parameters()]
    yield
    after = trainer.model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    for grad, p in zip(grads, trainer.model.parameters(), strict=True):
        assert p.grad is None if grad is None else torch.equal(grad, p.grad)


def streams_by_hand(model: Any, batch: Batch, variant: str) -> dict[tuple[str, int, str], Tensor]:
    """(stack, layer, site) → stream after it, and (stack, 0, "") → embedded tokens.   batch, token, width

    Without dropout. Where the stream is not a norm's output it is what the norm of the next site reads.
    """
    seen: dict[tuple[str, int, str], Tensor] = {}
    with ExitStack() as undo, torch.no_grad(), unchanged_buffers(model):
        for stack in model.stacks:
            tokens = batch.source if stack.shape.stack == "encoder" else batch.target
            seen[stack.shape.stack, 0, ""] = model.embedding(tokens)
            norms = [site.norm for site in stack.sites]
            following = norms if variant in NORMED_STREAM else [*norms[1:], stack.variant.final_norm]
            for site, norm in zip(stack.sites, following, strict=True):
                key = (stack.shape.stack, site.layer, site.name.rpartition(".")[2])

                def keep(_: Any, args: Any, out: Tensor, key: Any = key) -> None:
                    seen[key] = out if variant in NORMED_STREAM else args[0]

                undo.callback(norm.register_forward_hook(keep).remove)
        model(batch.source, batch.source_mask, batch.target, target_mask=batch.target_mask)
    return seen


def real_rows(batch: Batch, stack: str) -> list[slice]:
    """Where the real tokens of every text stand; padding sits at the end."""
    mask = batch.source_mask if stack == "encoder" else batch.labels != -100
    lengths = [batch.source.shape[1]] * len(batch.source) if mask is None else mask.sum(dim=1).tolist()
    return [slice(length) for length in lengths]
