"""Of which parts the stream consists: how much of it is its own branch, every branch below, and the embedding."""

from typing import Any

import torch
from torch import Tensor

from normexp.model.stack import Stack
from normexp.probes.context import ProbeContext, unchanged_buffers, valid_tokens
from normexp.probes.probe import Probe, Readings, site_key
from normexp.probes.skeleton import EMBEDDING, Skeleton

TOLERANCE = 0.05  # of a stream's norm; mixes of streams in bfloat16 alone come to 0.01 or so


class Dependency(Probe):
    """share of the stream's variance that comes from each branch below, 1 = all   Liu et al. 2020, residual dependency

    With every norm's statistics held at what they are on this batch the stream after site i is a sum of parts, x = Σⱼ
    cⱼ, one from each branch output up to its own and one from the embedding. What norms add themselves, such as
    biases, belongs to nobody; a norm that is not linear counts as `Norm.linearised_at` says.
    dependency: Var(cᵢ)/Var(x), the share of the site's own branch; Var F/Var(x + F) in Post- and Pre-LN.
    dependency_map, by the site of branch j or embedding: √(Var(cⱼ)/Var(x)), Liu et al.'s β; the squares of a row sum
    to 1 where the parts are uncorrelated. Sites above have no part in it and no row. map=false leaves all these out.
    Var: over the width, then the mean over the real tokens, in numerator and denominator alike.
    The stream is what `Variant.main_stream` shows. The weights of dynamic hyper-connections are held as statistics are.
    NaN for a stack whose parts do not add up to its stream, by 5% of a stream's norm or more: one that is joined by
    something that is not linear.
    """

    def __init__(self, map: bool = True) -> None:
        self.map = map

    @torch.no_grad()
    def measure(self, context: ProbeContext) -> Readings:
        found = []
        with unchanged_buffers(context.model):
            for stack in context.model.stacks:
                stack.variant.on_step_begin(context.step)
                found += self._rows(context, stack)
        return Readings.of(found)

    def _rows(self, context: ProbeContext, stack: Stack) -> list[tuple[Any, ...]]:
        shares = _shares(context, stack)
        rows = []
        for site in stack.sites:
            row = shares.get(site.name, {})
            if site.name in row:
                rows.append((site_key(site, "dependency"), row[site.name]))
            if self.map:
                rows += [(site_key(site, "dependency_map", part), share.sqrt()) for part, share in row.items()]
        return rows


def _shares(context: ProbeContext, stack: Stack) -> dict[str, dict[str, Tensor]]:
    """Var(cⱼ)/Var(x) of every stream, by site and part."""
    mask = context.mask_of(stack.shape.stack)
    skeleton = Skeleton(stack, context.trace, mask)
    rest = skeleton.rest()
    streams = {site: context.trace[f"{site}/stream"] for site in rest}
    total = {site: _variance(stream, mask) for site, stream in streams.items()}
    left = {site: stream - rest[site] for site, stream in streams.items()}
    shares: dict[str, dict[str, Tensor]] = {site: {} for site in streams}
    order = {EMBEDDING: 0} | {site.name: site.index for site in stack.sites}
    for part in skeleton.parts:
        for site, made in skeleton.part(part).items():
            left[site] = left[site] - made
            if order[part] <= order[site]:
                shares[site][part] = _variance(made, mask) / total[site]
    adds_up = [_length(left[site], mask) < TOLERANCE * _length(streams[site], mask) for site in streams]
    valid = torch.where(torch.stack(adds_up).all(), 1.0, torch.nan) if adds_up else 1.0
    return {site: {part: valid * share for part, share in row.items()} for site, row in shares.items()}


def _variance(x: Tensor, mask: Tensor | None) -> Tensor:
    tokens = valid_tokens(x, mask)
    return (tokens - tokens.mean(dim=-1, keepdim=True)).square().mean()  # several times as fast as torch.var


def _length(x: Tensor, mask: Tensor | None) -> Tensor:
    return torch.linalg.vector_norm(valid_tokens(x, mask))
