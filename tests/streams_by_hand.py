"""Streams caught by hooks on a model's modules in a forward of its own, without a trace."""

from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor

from normexp.data.batches import Batch
from normexp.probes.moment import unchanged_buffers

NORMED_STREAM = ("post_ln", "b2t", "deep_norm", "admin", "resi_dual", "no_residual")  # the norm's output is the stream


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
