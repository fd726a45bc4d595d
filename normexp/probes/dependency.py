"""How much each branch and the embedding contribute to the stream after a site."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from normexp.model.buffers import unchanged_buffers
from normexp.model.stack import Stack
from normexp.probes.context import ProbeContext, valid_tokens
from normexp.probes.probe import Probe, Readings, site_key
from normexp.probes.skeleton import EMBEDDING, Skeleton

TOLERANCE = 0.05  # share of a stream's norm; rounding in bfloat16 alone gives about 0.01


class Dependency(Probe):
    """Liu et al.'s residual dependency: the share of the stream's variance that comes from each branch below.

    With the statistics of every norm held fixed, the stream after site i is a sum of parts, x = Σⱼ cⱼ: one from each
    branch output up to site i and one from the embedding. What norms add by themselves, such as biases, belongs to no
    part; for a norm that is not linear, see `Norm.linearised_at`.
    dependency: Var(cᵢ)/Var(x), the share of the site's own branch; Var F/Var(x + F) in Post- and Pre-LN.
    dependency_map, with the site of branch j or `embedding` as parameter: √(Var(cⱼ)/Var(x)), Liu et al.'s β. Sites
    above i have no row. map=false leaves the map out.
    dependency_sum: Σⱼ Var(cⱼ)/Var(x), the sum of the squares of a row of the map. It is 1 where the parts are
    uncorrelated; below 1 they add up, above 1 they cancel. Read the map with it: covariances are in no part.
    Var is the variance over the width, averaged over the real tokens, in numerator and denominator alike.
    The stream is what `Variant.main_stream` shows. The weights of dynamic hyper-connections are held fixed as well.
    NaN for a stack whose parts miss its stream by 5 % of the stream's norm or more: its joins are not linear.
    """

    measures = "share of the stream's variance that comes from each branch below, 0 to about 1"
    good = "neither high nor low in itself"
    statistics: ClassVar[dict[str, str]] = {
        "dependency": "share of the stream's variance that comes from the site's own branch",
        "dependency_map": "share of branch j in the stream after site i, as a standard deviation (Liu et al.'s β)",
        "dependency_sum": "sum of the variance shares of all parts of the stream; 1 where the parts are uncorrelated",
    }
    paper = "liu2020"

    def __init__(self, map: bool = True) -> None:
        self.map = map

    @torch.no_grad()
    def measure(self, context: ProbeContext) -> Readings:
        found = []
        with unchanged_buffers(context.model):
            for stack in context.model.stacks:
                stack.on_step_begin(context.step)
                found += self._rows(context, stack)
        return Readings.of(found)

    def _rows(self, context: ProbeContext, stack: Stack) -> list[tuple[Any, ...]]:
        shares = _shares(context, stack)
        rows = []
        for site in stack.sites:
            row = shares.get(site.name, {})
            if site.name in row:
                rows.append((site_key(site, "dependency"), row[site.name]))
            if row:
                rows.append((site_key(site, "dependency_sum"), torch.stack(list(row.values())).sum()))
            if self.map:
                rows += [(site_key(site, "dependency_map", part), share.sqrt()) for part, share in row.items()]
        return rows


def _shares(context: ProbeContext, stack: Stack) -> dict[str, dict[str, Tensor]]:
    """Var(cⱼ)/Var(x) for every stream, by site and part."""
    mask = context.mask_of(stack.shape.stack)
    skeleton = Skeleton(stack, context.trace, mask)
    rest = skeleton.rest()
    streams = {site: context.trace[f"{site}/stream"] for site in rest}
    variance = {site: _variance(stream, mask) for site, stream in streams.items()}
    left = {site: stream - rest[site] for site, stream in streams.items()}
    shares: dict[str, dict[str, Tensor]] = {site: {} for site in streams}
    order = {EMBEDDING: 0} | {site.name: site.index for site in stack.sites}
    for part in skeleton.parts:
        for site, made in skeleton.part(part).items():
            left[site] = left[site] - made
            if order[part] <= order[site]:
                shares[site][part] = _variance(made, mask) / variance[site]
    adds_up = [_length(left[site], mask) < TOLERANCE * _length(streams[site], mask) for site in streams]
    valid = torch.where(torch.stack(adds_up).all(), 1.0, torch.nan) if adds_up else 1.0
    return {site: {part: valid * share for part, share in row.items()} for site, row in shares.items()}


def _variance(x: Tensor, mask: Tensor | None) -> Tensor:
    tokens = valid_tokens(x, mask)
    return (tokens - tokens.mean(dim=-1, keepdim=True)).square().mean()  # several times as fast as torch.var


def _length(x: Tensor, mask: Tensor | None) -> Tensor:
    return torch.linalg.vector_norm(valid_tokens(x, mask))
