"""Size of the residual stream and of what the branches add to it."""

from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor

from normexp.model.variant import Site
from normexp.norms.norm import at_least_float32
from normexp.probes.context import ProbeContext, valid_tokens
from normexp.probes.probe import Probe, Readings, site_key, stack_key


class StreamNorm(Probe):
    """Mean ‖x‖²/width, over the real tokens of the batch, of the stream after every site and of what is added to it.

    stream_norm: the stream after the site; at layer 0, the stream before the first layer.
    branch_norm: the branch output. hidden_norm: the feed-forward's hidden vector after the activation, over the width
    of that vector.
    sum_norm: stream before the site plus branch, without the factors that a variant may put on either of them. Where
    the sum is normalised without such factors, this is what the norm reads; Lemma 2 of the paper gives 1.5 for the
    feed-forward at initialisation.
    stream_growth: stream_norm after the site over stream_norm before it.
    The stream before a site is ProbeContext.stream_before.
    """

    measures = "mean ‖x‖²/width of the stream, the branches and their sum"
    good = "slow growth"
    statistics: ClassVar[dict[str, str]] = {
        "stream_norm": "mean ‖x‖²/width of the residual stream after the site",
        "branch_norm": "mean ‖F(x)‖²/width of the branch output",
        "sum_norm": "mean ‖x + F(x)‖²/width of stream plus branch, without a variant's factors",
        "hidden_norm": "mean squared entry of the feed-forward's hidden vector, after the activation",
        "stream_growth": "squared norm of the stream after the site over that before it; 1: no growth",
    }
    paper = "xiong2020"

    @torch.no_grad()
    def measure(self, context: ProbeContext) -> Readings:
        first = [
            (stack_key(name, "stream_norm"), _size(context.trace[f"{name}/stream"], context.mask_of(name)))
            for name in (stack.shape.stack for stack in context.model.stacks)
        ]
        at_sites = [(site_key(site, what), value) for site in context.sites for what, value in _sizes(context, site)]
        return Readings.of(first + at_sites)


def _sizes(context: ProbeContext, site: Site) -> Iterator[tuple[str, Tensor]]:
    """The statistics of a site for which the forward recorded the tensors."""
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
    """Mean squared entry of the vectors of the real tokens."""
    return valid_tokens(x, mask).square().sum(dim=-1).mean() / x.shape[-1]
