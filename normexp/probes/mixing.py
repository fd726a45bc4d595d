"""What the mixing matrices of hyper-connections do: how far each is from the identity, what their product does."""

from typing import ClassVar

import torch
from torch import Tensor

from normexp.model.stack import Stack
from normexp.probes.context import ProbeContext, valid_tokens
from normexp.probes.probe import Probe, Readings, site_key


class Mixing(Probe):
    """The matrix H_res with which a site mixes n streams, the product of these matrices, and how the streams differ.

    mixing_change: ‖H_res − I‖/√n in the Frobenius norm. √(1 − 1/n) where every stream becomes the mean of all.
    forward_gain, backward_gain: largest |row sum| and largest |column sum| of H_res at this site times those of all
    sites below it in the stack. 1 for doubly stochastic matrices.
    stream_spread: Σ‖h_i − h̄‖² / Σ‖h_i‖² over the streams h_i after the site, with h̄ their mean; between 0 and 1.
    Means over the real tokens. NaN under a variant that does not mix streams.
    """

    measures = "distance of mixing matrices from I, largest row and column sum of their product, spread of the streams"
    good = "gains near 1; a change and a spread above 0: the streams are used"
    statistics: ClassVar[dict[str, str]] = {
        "mixing_change": "distance of the mixing matrix from the identity over √n; 0: the streams are not mixed",
        "forward_gain": "largest |row sum| of the product of all mixing matrices up to the site: gain of the signal",
        "backward_gain": "largest |column sum| of the mixing matrices' product up to the site: gain of the gradient",
        "stream_spread": "share of the streams' squared norm that is not that of their mean; 0: all streams are equal",
    }
    paper = "xie2025"

    @torch.no_grad()
    def measure(self, context: ProbeContext) -> Readings:
        return Readings.of(found for stack in context.model.stacks for found in self._stack(context, stack))

    def _stack(self, context: ProbeContext, stack: Stack) -> list[tuple[tuple[str, int, str, str, str], Tensor]]:
        mask = context.mask_of(stack.shape.stack)
        found, product = [], None
        for site in stack.sites:
            mixing, streams = (context.trace.get(f"{site.name}/{what}") for what in ("mixing", "streams"))
            if mixing is None or streams is None:
                nothing = torch.full_like(context.nll.detach(), torch.nan)
                found += [(site_key(site, statistic), nothing) for statistic in self.statistics]
                continue
            # A static matrix is the same for all tokens. What is recorded multiplies from the right.
            transposed = mixing.expand(*streams.shape[:2], *mixing.shape[-2:])
            matrices = valid_tokens(transposed, mask).transpose(-1, -2)
            product = matrices if product is None else matrices @ product
            values = (change(matrices), *gains(product), spread(valid_tokens(streams, mask)))
            found += [(site_key(site, name), value.mean()) for name, value in zip(self.statistics, values, strict=True)]
        return found


def change(matrices: Tensor) -> Tensor:
    """‖A − I‖/√n.   token, n, n → token"""
    identity = torch.eye(matrices.shape[-1], device=matrices.device, dtype=matrices.dtype)
    return torch.linalg.matrix_norm(matrices - identity) / matrices.shape[-1] ** 0.5


def gains(product: Tensor) -> tuple[Tensor, Tensor]:
    """Largest |row sum| and largest |column sum|.   token, n, n → token, twice"""
    rows, columns = (product.sum(dim=dim).abs().amax(dim=-1) for dim in (-1, -2))
    return rows, columns


def spread(streams: Tensor) -> Tensor:
    """Share of the squared norm that is not that of the mean of the streams.   token, n, width → token"""
    apart = streams - streams.mean(dim=-2, keepdim=True)
    return apart.square().sum(dim=(-1, -2)) / streams.square().sum(dim=(-1, -2))
