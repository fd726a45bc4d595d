"""What a probe may read at one step: the model, a batch, and the activations and gradients of that batch."""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from normexp.data.batches import Batch
from normexp.model.buffers import unchanged_buffers
from normexp.model.build import Model
from normexp.model.initialisers import fold_in
from normexp.model.stack import Stack
from normexp.model.variant import Site, Trace
from normexp.norms.norm import at_least_float32


@dataclass(frozen=True, eq=False)
class ProbeContext:
    """What a probe may read. All forwards share one dropout mask, so that two of them differ only by what was changed.

    model: in training mode. batch: on the model's device. step: the number of the coming update, from 1.
    logits(model, batch, trace): the training forward of this step, with its dropout and its precision. With
        training.accumulate it reads the whole batch at once, so its dropout is that of the first part alone.
    loss(scores, labels): mean unsmoothed negative log-likelihood, nats.
    updated_model(): a copy of the model after the coming update, made from the gradients in .grad.
    initial_model(): the model before its first update.
    lr: the rate of the coming update; the peak rate where there is no training. seed: the seed of the run.
    coming_update(): that copy of the model together with the optimizer that updated it, after its step. None where
    the trainer provides none.
    """

    model: Model
    batch: Batch
    step: int
    logits: Callable[[Model, Batch, Trace | None], Tensor]
    loss: Callable[[Tensor, Tensor], Tensor]
    updated_model: Callable[[], Model]
    initial_model: Callable[[], Model]
    lr: float
    seed: int
    coming_update: Callable[[], tuple[Model, torch.optim.Optimizer]] | None = None

    def scores(self, batch: Batch | None = None, trace: Trace | None = None) -> Tensor:
        """Logits of one forward.   batch, target token, word  or  batch, class"""
        with unchanged_buffers(self.model):
            return self.logits(self.model, batch or self.batch, trace)

    @cached_property
    def _pass(self) -> tuple[Trace, Tensor]:
        trace: Trace = {}
        with torch.enable_grad():  # the pass is cached, so it must not depend on who asks first
            return trace, self.loss(self.scores(trace=trace), self.batch.labels)

    @property
    def trace(self) -> Trace:
        """The named tensors of one forward (`decoder.05.attention/branch`), with their graph, for gradients."""
        return self._pass[0]

    @property
    def nll(self) -> Tensor:
        """The loss of that forward."""
        return self._pass[1]

    def gradients(self, tensors: Sequence[Tensor]) -> list[Tensor | None]:
        """Gradients of the loss with respect to parameters or tensors of the trace; None where it does not use one."""
        with unchanged_buffers(self.model):
            return list(torch.autograd.grad(self.nll, tensors, retain_graph=True, allow_unused=True))

    @property
    def sites(self) -> list[Site]:
        """Every site of the model, encoder first, in the order of the forward."""
        return [site for stack in self.model.stacks for site in stack.sites]

    def stream_before(self, site: Site) -> Tensor | None:
        """The stream after the previous site, or at the start of the stack; None where the variant did not record it.

        This is what `Variant.main_stream` shows. Where a layer reads a mix of the layers below, it is not that mix.
        """
        names = {other.index: other.name for other in self.sites if other.shape.stack == site.shape.stack}
        return self.trace.get(f"{names.get(site.index - 1, site.shape.stack)}/stream")

    def branches(self) -> Iterator[tuple[Site, Tensor, Tensor]]:
        """Every site with its branch output and the stream before it, at the real tokens.   token, width"""
        for site in self.sites:
            branch, before = self.trace.get(f"{site.name}/branch"), self.stream_before(site)
            if branch is not None and before is not None:
                mask = self.mask_of(site.shape.stack)
                yield site, valid_tokens(branch, mask), valid_tokens(before, mask)

    def streams(self, stack: Stack) -> dict[Site | None, Tensor]:
        """A stack's stream after every site that records it and, at None, before the first.   batch, token, width"""
        names = {None: stack.shape.stack} | {site: site.name for site in stack.sites}
        return {at: self.trace[f"{name}/stream"] for at, name in names.items() if f"{name}/stream" in self.trace}

    def layer_ends(self, stack: Stack, trace: Trace) -> list[Tensor]:
        """A stack's stream before the first and after every layer, at the real tokens.   token, width"""
        names = [stack.shape.stack, *(sites[-1].name for sites in stack.sites_by_layer)]
        return [valid_tokens(trace[f"{name}/stream"], self.mask_of(stack.shape.stack)) for name in names]

    def mask_of(self, stack: str) -> Tensor | None:
        """True at the real tokens of a stack.   batch, token"""
        return self.batch.source_mask if stack == "encoder" else self.batch.target_mask

    def generator(self, *words: object) -> torch.Generator:
        """A generator for one purpose of one probe: the same words give the same numbers in all runs of this seed."""
        return torch.Generator().manual_seed(fold_in(self.seed, "probe", *words))

    def with_model(self, model: Model) -> "ProbeContext":
        """The same batch, dropout and precision with another model."""
        return replace(self, model=model)

    def trace_of(self, model: Model) -> Trace:
        """The named tensors of the same forward through another model, without a graph."""
        trace: Trace = {}
        with torch.no_grad():
            self.with_model(model).scores(trace=trace)
        return trace

    def with_model_copy(self) -> "ProbeContext":
        """The same context with a copy of the model, which the caller may change."""
        return self.with_model(copy.deepcopy(self.model))


def valid_tokens(x: Tensor, mask: Tensor | None) -> Tensor:
    """Vectors of the real tokens, in at least float32.   batch, token, width → token, width"""
    x = at_least_float32(x)
    return x.flatten(0, 1) if mask is None else x[mask]


def distances(a: Tensor, b: Tensor, mask: Tensor | None) -> Tensor:
    """‖a − b‖ for every real token.   batch, token, width → token"""
    return torch.linalg.vector_norm(valid_tokens(a, mask) - valid_tokens(b, mask), dim=-1)
