"""How large the residual stream is, what the branches add to it, and by how much it grows."""

from collections.abc import Iterator

import torch
from torch import Tensor

from normexp.model.variant import Site
from normexp.norms.norm import at_least_float32
from normexp.probes.context import ProbeContext, valid_tokens
from normexp.probes.probe import Probe, Readings, site_key, stack_key


class StreamNorm(Probe):
    """mean ‖x‖²/width of the stream after every site and of what is added to it   Xiong et al. 2020, Lemma 2

    stream_norm: the stream after the site; a stack's stream before its first layer is stream_norm of layer 0.
    branch_norm: the branch's output. hidden_norm: the feed-forward's hidden vector after the activation, by its own
    width.
    sum_norm: the stream before the site plus the branch, without the factors that a variant may put on either. Where
    the sum is normed that is what the norm reads; Lemma 2 has 1.5 at the feed-forward, at the start.
    stream_growth: stream_norm after the site over stream_norm before it.
    All over the real tokens of the batch. The stream before a site is ProbeContext.stream_before.
    """

    @torch.no_grad()
    def measure(self, context: ProbeContext) -> Readings:
        first = [
            (stack_key(name, "stream_norm"), _size(context.trace[f"{name}/stream"], context.mask_of(name)))
            for name in (stack.shape.stack for stack in context.model.stacks)
        ]
        at_sites = [(site_key(site, what), value) for site in context.sites for what, value in _sizes(context, site)]
        return Readings.of(first + at_sites)


def _sizes(context: ProbeContext, site: Site) -> Iterator[tuple[str, Tensor]]:
    """Every statistic of a site whose tensors the forward named."""
    mask = context.mask_of(site.shape.stack)
    before = context.stream_before(site)
    after, branch, hidden = (context.trace.get(f"{site.name}/{what}") for what in ("stream", "branch", "hidden"))
    if after is not None:
        yield "stream_norm", _size(after, mask)
    if branch is not None:
        yield "branch_norm", _size(branch, mask)
    if branch is not None and before is not None:
        yield "sum_norm", _size(at_least_float32(before) + branch, mask)
    if hidden is not None:
        yield "hidden_norm", _size(hidden, mask)
    if after is not None and before is not None:
        yield "stream_growth", _size(after, mask) / _size(before, mask)


def _size(x: Tensor, mask: Tensor | None) -> Tensor:
    """Mean squared entry of the real tokens' vectors."""
    return valid_tokens(x, mask).square().sum(dim=-1).mean() / x.shape[-1]
