"""Replay a stack as a linear map, to see what becomes of one summand of the stream."""

import copy
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor

from normexp.model.buffers import unchanged_buffers
from normexp.model.replaced import replaced
from normexp.model.stack import Stack
from normexp.model.variant import Trace
from normexp.norms import Norm
from normexp.norms.norm import at_least_float32

EMBEDDING = "embedding"  # the part that comes from no site
Call = tuple[Tensor, Tensor, Callable[[Tensor], Tensor]]  # a norm's input, its output, and its linear map


class Skeleton:
    """A stack replayed with the branch outputs of one forward, and with its norms as the linear maps of that forward.

    trace: the trace of that forward. mask: its real tokens. Norms keep the statistics of that forward
    (`Norm.linearised_at`), and norms that produce weights for the stream (`Norm.produces_weights`) return the same
    weights. The stream is then a sum of what becomes of its parts (the embedding and every branch output) and of what
    the norms add by themselves.
    """

    def __init__(self, stack: Stack, trace: Trace, mask: Tensor | None) -> None:
        self.stack, self.mask = stack, mask
        embedding = at_least_float32(trace[f"{stack.shape.stack}/input"])
        branches = {s.name: at_least_float32(trace[name]) for s in stack.sites if (name := f"{s.name}/branch") in trace}
        self.parts = {EMBEDDING: embedding} | branches
        # A copy shares the weights and keeps its forward when that of the norm is replaced.
        self.norms = {module: copy.copy(module) for module in stack.modules() if isinstance(module, Norm)}
        self.calls: dict[Norm, list[Call]] = {norm: [] for norm in self.norms}  # in the order of the forward
        self._run(self.parts, self._recorded)

    def part(self, name: str) -> dict[str, Tensor]:
        """What becomes of one part in the stream after every site, by the name of the site.   batch, token, width"""
        return self._run({name: self.parts[name]}, self._along)

    def rest(self) -> dict[str, Tensor]:
        """What the norms add by themselves: biases, and for some norms more (`Norm.linearised_at`)."""
        return self._run({}, self._along_and_rest)

    def _run(self, parts: Mapping[str, Tensor], answer: Callable[[Norm], Callable[..., Any]]) -> dict[str, Tensor]:
        """The streams of a forward with some of the parts, the others set to 0."""
        trace: Trace = {}
        nothing = torch.zeros_like(self.parts[EMBEDDING])
        with ExitStack() as contexts:
            for site in self.stack.sites:
                branch = parts.get(site.name, nothing)
                contexts.enter_context(replaced(site, branch=lambda _, part=branch: part))
            for norm in self.norms:
                contexts.enter_context(replaced(norm, forward=answer(norm)))
            self.stack(parts.get(EMBEDDING, nothing), self.mask, trace=trace)
        return {s.name: trace[name] for s in self.stack.sites if (name := f"{s.name}/stream") in trace}

    def _recorded(self, norm: Norm) -> Callable[..., Any]:
        def forward(x: Tensor) -> Tensor:
            made = self.norms[norm](x)
            with unchanged_buffers(norm):  # some norms read x again for this
                linear = self.norms[norm].linearised_at(x)
            self.calls[norm].append((x, made, (lambda _: made) if norm.produces_weights else linear))
            return made

        return forward

    def _along(self, norm: Norm) -> Callable[..., Any]:
        calls = iter(self.calls[norm])

        def forward(part: Tensor) -> Tensor:
            _, _, linear = next(calls)
            return linear(part)

        return forward

    def _along_and_rest(self, norm: Norm) -> Callable[..., Any]:
        calls = iter(self.calls[norm])

        def forward(part: Tensor) -> Tensor:
            x, made, linear = next(calls)
            return linear(part) + made - linear(x)

        return forward
