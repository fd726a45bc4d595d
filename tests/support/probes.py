"""Helpers for tests of probes: small trainers, readings as rows, a check that nothing changes, streams from hooks."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from normexp.data.batches import Batch
from normexp.data.corpus import load_corpus
from normexp.model.buffers import unchanged_buffers
from normexp.probes.context import ProbeContext
from normexp.probes.probe import Probe
from normexp.training.trainer import Trainer
from tests.support.configs import config_of
from tests.support.runs import TINY

NORMED_STREAM = ("post_ln", "b2t", "deep_norm", "admin", "resi_dual", "no_residual")  # the norm's output is the stream


def trainer_of(*line: str) -> Trainer:
    """A trainer of two layers without dropout, calibrated on data where the variant needs it.

    A language model reads dates too, because they are short and of different lengths, so that there is padding.
    """
    size = [word for word in TINY if not word.startswith(("data.", "record."))]
    examples = ["data.phrases=40"] if "task=classification" in line else ["data.pairs=300"]
    if "task=language_modelling" in line:
        examples.append("data=cldr_dates")
    config = config_of(*size, *examples, "depth=2", *line)
    return Trainer(config, load_corpus(config.data)).calibrate()


def padded(trainer: Trainer) -> Batch:
    """A batch with padding in the input of every stack."""
    stacks = [stack.shape.stack for stack in trainer.model.stacks]
    return next(batch for batch in islice(trainer.data(), 100) if all(some_padding(batch, stack) for stack in stacks))


def some_padding(batch: Batch, stack: str) -> bool:
    mask = batch.source_mask if stack == "encoder" else batch.target_mask
    return mask is not None and not bool(mask.all())


def rows_of(probe: Probe, context: ProbeContext) -> Any:
    """Values by stack, layer, site, parameter and statistic."""
    index = ["stack", "layer", "site", "parameter", "statistic"]
    rows: pd.Series = probe.measure(context).frame(context.step).set_index(index)["value"]
    assert rows.index.is_unique
    return rows


def measured(probe: Probe, context: ProbeContext) -> Any:
    """The same for a probe without parameter rows: values by stack, layer, site and statistic."""
    rows = rows_of(probe, context).droplevel("parameter")
    assert rows.index.is_unique
    return rows


@contextmanager
def nothing_changes(trainer: Trainer) -> Iterator[None]:
    """Weights, buffers, gradients and the optimizer's state are bit-identical before and after the block."""

    def state() -> list[Tensor]:
        grads = [p.grad for p in trainer.model.parameters() if p.grad is not None]
        slots = [v for slot in trainer.optimizer.state.values() for v in slot.values() if isinstance(v, Tensor)]
        return [*trainer.model.state_dict().values(), *grads, *slots]

    before = [value.clone() for value in state()]
    yield
    assert all(torch.equal(a, b) for a, b in zip(before, state(), strict=True))


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
    """The positions of the real tokens of every text; padding is at the end."""
    mask = batch.source_mask if stack == "encoder" else batch.labels != -100
    lengths = [batch.source.shape[1]] * len(batch.source) if mask is None else mask.sum(dim=1).tolist()
    return [slice(length) for length in lengths]
