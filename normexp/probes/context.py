"""One look at a model: its weights as they are, one batch, and what a forward and a backward of it leave."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor, nn

from normexp.data.batches import Batch
from normexp.model.build import Model
from normexp.model.initialisers import fold_in
from normexp.model.stack import Stack
from normexp.model.variant import Site, Trace
from normexp.norms.norm import at_least_float32


@dataclass(frozen=True, eq=False)
class ProbeContext:
    """What probes may look at. Every forward sees the same dropout, so two of them differ only by what was changed.

    model: in training mode. batch: on the model's device. step: the update that comes next, from 1.
    logits(model, batch, trace): the training forward of this step, with its dropout and its precision.
    loss(scores, labels): mean unsmoothed negative log-likelihood, nats.
    updated_model(): a copy of the model after the update that comes next, made from the gradients in .grad.
    initial_model(): the model as it was before its first update.
    lr: of that update; the peak rate where there is no training. seed: of the run.
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

    def scores(self, batch: Batch | None = None, trace: Trace | None = None) -> Tensor:
        """Logits of a forward.   batch, target token, word  or  batch, class"""
        with unchanged_buffers(self.model):
            return self.logits(self.model, batch or self.batch, trace)

    @cached_property
    def _pass(self) -> tuple[Trace, Tensor]:
        trace: Trace = {}
        with torch.enable_grad():  # it is kept, so it must not depend on who asks first
            return trace, self.loss(self.scores(trace=trace), self.batch.labels)

    @property
    def trace(self) -> Trace:
        """What one forward named on its way (`decoder.05.attention/branch`), its graph kept for gradients."""
        return self._pass[0]

    @property
    def nll(self) -> Tensor:
        """The loss of that forward."""
        return self._pass[1]

    def gradients(self, tensors: Sequence[Tensor]) -> list[Tensor | None]:
        """Gradient of the loss for each tensor of the trace or parameter; None where the loss does not come from it."""
        with unchanged_buffers(self.model):
            return list(torch.autograd.grad(self.nll, tensors, retain_graph=True, allow_unused=True))

    @property
    def sites(self) -> list[Site]:
        """Every site of the model, encoder first, in the order of the forward."""
        return [site for stack in self.model.stacks for site in stack.sites]

    def stream_before(self, site: Site) -> Tensor | None:
        """The stream as the site before left it, at a stack's first site as it was opened; None where nobody named it.

        What `view` makes of it, so where a layer reads a mix of those below, that mix is not what is shown.
        """
        names = {other.index: other.name for other in self.sites if other.shape.stack == site.shape.stack}
        return self.trace.get(f"{names.get(site.index - 1, site.shape.stack)}/stream")

    def streams(self, stack: Stack) -> dict[Site | None, Tensor]:
        """A stack's stream after every site that names it, and, at None, before the first.   batch, token, width"""
        places = {None: stack.shape.stack} | {site: site.name for site in stack.sites}
        return {at: self.trace[f"{name}/stream"] for at, name in places.items() if f"{name}/stream" in self.trace}

    def mask_of(self, stack: str) -> Tensor | None:
        """True at a stack's real tokens.   batch, token"""
        return self.batch.source_mask if stack == "encoder" else self.batch.target_mask

    def generator(self, *words: object) -> torch.Generator:
        """A generator for one purpose of one probe: the same words give the same numbers in every run of this seed."""
        return torch.Generator().manual_seed(fold_in(self.seed, "probe", *words))

    def with_model(self, model: Model) -> "ProbeContext":
        """The same batch, dropout and precision over another model."""
        return replace(self, model=model)

    def trace_of(self, model: Model) -> Trace:
        """What the same forward over another model names, without a graph."""
        trace: Trace = {}
        with torch.no_grad():
            self.with_model(model).scores(trace=trace)
        return trace

    def with_model_copy(self) -> "ProbeContext":
        """The same context over a copy of the model, free to be changed."""
        return self.with_model(copy.deepcopy(self.model))


@contextmanager
def unchanged_buffers(model: nn.Module) -> Iterator[None]:
    """What a forward or backward in training mode writes into the model (running statistics) is dropped.

    Copies, not values put back: the forward's graph may still need what it wrote.
    """
    own = [(module, dict(module._buffers)) for module in model.modules() if module._buffers]
    try:
        for module, buffers in own:
            module._buffers.update({name: None if b is None else b.clone() for name, b in buffers.items()})
        yield
    finally:
        for module, buffers in own:
            module._buffers.update(buffers)


def valid_tokens(x: Tensor, mask: Tensor | None) -> Tensor:
    """The vectors of the real tokens, in float32 or better.   batch, token, width → token, width"""
    x = at_least_float32(x)
    return x.flatten(0, 1) if mask is None else x[mask]


def distances(a: Tensor, b: Tensor, mask: Tensor | None) -> Tensor:
    """‖a − b‖ of every real token.   batch, token, width → token"""
    return torch.linalg.vector_norm(valid_tokens(a, mask) - valid_tokens(b, mask), dim=-1)
