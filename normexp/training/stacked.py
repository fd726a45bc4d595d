"""Runs that differ only in seed, learning rate or warm-up, trained as one batched model.

Each run keeps its trainer, and with it its optimizer, data, probes and checkpoints. What they share is the forward and
the backward of a step, whose every operation serves all of them. On a GPU that a small model leaves idle, several runs
then take hardly longer than one.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from normexp.data.batches import IGNORE, Batch
from normexp.data.vocabulary import PAD
from normexp.model.buffers import Buffers, copied_buffers, replaced_buffers, with_buffers
from normexp.training.evaluate import cross_entropy, logits
from normexp.training.trainer import Trainer

TOLERANCE = 1e-4  # of the gradient's norm, by which one batched step may differ from separate ones in float32


class Stacked:
    """The models of several trainers as one, whose weights have the trainers as their first dimension.

    The parameters of each trainer become slices of these, so its optimizer, probes and checkpoints work as before.
    """

    def __init__(self, trainers: Sequence[Trainer]) -> None:
        self.trainers = tuple(trainers)
        self.model = trainers[0].model
        named = [dict(trainer.model.named_parameters()) for trainer in trainers]
        self.parameters = {name: [each[name] for each in named] for name in named[0]}
        self.weights = {
            name: torch.stack([each.detach() for each in alike]).requires_grad_()
            for name, alike in self.parameters.items()
        }
        for name, alike in self.parameters.items():
            for parameter, slice_ in zip(alike, self.weights[name].detach().unbind(), strict=True):
                parameter.data = slice_

    def backward(self, batches: Sequence[Batch]) -> list[Tensor]:
        """Gradients of each trainer's batch, in .grad of its parameters; the unsmoothed losses, on the device."""
        for trainer in self.trainers:
            trainer.begin_step(trainer.model)
        # In every step, because some variants change theirs when it begins.
        own = [dict(trainer.model.named_buffers()) for trainer in self.trainers]
        shared = {name: torch.stack([each[name] for each in own]) for name in own[0]}
        smoothing = self.trainers[0].config.training.label_smoothing

        def losses(weights: dict[str, Tensor], buffers: dict[str, Tensor], *of: Tensor | None) -> tuple[Tensor, Tensor]:
            batch = Batch(*of, tokens=0)  # type: ignore[misc, arg-type]  # its tokens are not read

            def model(*inputs: Any, **more: Any) -> Any:
                return functional_call(self.model, (weights, buffers), inputs, more)

            scores = logits(model, batch)
            nll = cross_entropy(scores, batch.labels)
            return cross_entropy(scores, batch.labels, smoothing) if smoothing else nll, nll

        parts = padded(batches)
        of_batch = tuple(None if part is None else 0 for part in parts)
        with sdpa_kernel(SDPBackend.MATH):  # of the fused kernels, vmap splits some into rows and misaligns others
            smoothed, nll = vmap(losses, in_dims=(0, 0, *of_batch))(self.weights, shared, *parts)
        gradients = torch.autograd.grad(smoothed.sum(), list(self.weights.values()), allow_unused=True)
        for alike, gradient in zip(self.parameters.values(), gradients, strict=True):
            # In order in memory, as backward() leaves them: fused optimizers read them so, whatever their strides.
            slices = [None] * len(alike) if gradient is None else gradient.contiguous().unbind()
            for parameter, slice_ in zip(alike, slices, strict=True):
                parameter.grad = slice_
        return list(nll.detach().unbind())


def padded(batches: Sequence[Batch]) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor]:
    """Sources, their masks, targets and labels of all batches, each padded to the largest.   trainer, batch, token

    A row that a batch lacks is its first one again, with labels that do not count.
    """
    rows = max(len(batch.labels) for batch in batches)

    def stacked(name: str, fill: int | bool, again: bool = True) -> Tensor:
        tensors = [getattr(batch, name) for batch in batches]
        if tensors[0].dim() == 2:
            width = max(each.shape[1] for each in tensors)
            tensors = [F.pad(each, (0, width - each.shape[1]), value=fill) for each in tensors]
        missing = [rows - len(each) for each in tensors]
        more = [
            each[:1].expand(count, *each.shape[1:]) if again else each.new_full((count, *each.shape[1:]), fill)
            for each, count in zip(tensors, missing, strict=True)
        ]
        return torch.stack([torch.cat(pair) for pair in zip(tensors, more, strict=True)])

    sizes = {batch.source.shape for batch in batches}
    mask = None
    if len(sizes) > 1 or any(batch.source_mask is not None for batch in batches):
        batches = [_masked(batch) for batch in batches]
        mask = stacked("source_mask", False)
    target = None if batches[0].target is None else stacked("target", PAD)
    return stacked("source", PAD), mask, target, stacked("labels", IGNORE, again=False)


def _masked(batch: Batch) -> Batch:
    """The batch with a mask of its source, whether it has padding or not."""
    real = batch.source_mask
    return replace(batch, source_mask=torch.ones_like(batch.source, dtype=torch.bool) if real is None else real)


def difference(trainers: Sequence[Trainer], batches: Sequence[Batch]) -> float:
    """How far gradients of a batched step are from those of separate ones, as a share of their norm, at most.

    Infinite for a model with statistics that a step changes, such as those of BatchNorm, which padding would enter.
    """
    separate = []
    for trainer, batch in zip(trainers, batches, strict=True):
        trainer.begin_step(trainer.model)
        counting = with_buffers(trainer.model)
        inside, before = copied_buffers(counting), copied_buffers(counting)
        with replaced_buffers(inside):
            trainer.backward(batch)
        if not _equal(inside, before):
            return math.inf
        separate.append(_gradients(trainer))
    Stacked(trainers).backward(batches)
    return max(_relative(_gradients(trainer), apart) for trainer, apart in zip(trainers, separate, strict=True))


def _gradients(trainer: Trainer) -> Tensor:
    """All gradients as one vector; NaN where a parameter has none, so that none equals none alone."""
    each = [torch.full_like(p, math.nan) if p.grad is None else p.grad for p in trainer.model.parameters()]
    return torch.cat([gradient.flatten() for gradient in each])


def _relative(found: Tensor, expected: Tensor) -> float:
    """The norm of the difference, by the norm of what is expected; infinite where one alone has a gradient."""
    if not torch.equal(found.isnan(), expected.isnan()):
        return math.inf
    off, norm = ((found - expected).nan_to_num().norm(), expected.nan_to_num().norm())
    return float(off / norm) if norm else float(off)


def _equal(one: Buffers, other: Buffers) -> bool:
    pairs = ((buffers[name], other[module][name]) for module, buffers in one.items() for name in buffers)
    return all(mine is None or theirs is None or torch.equal(mine, theirs) for mine, theirs in pairs)
