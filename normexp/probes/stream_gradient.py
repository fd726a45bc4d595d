"""How much of the loss gradient reaches the stream after every site, and the branch that joined it there."""

import torch
from torch import Tensor

from normexp.probes.context import ProbeContext, valid_tokens
from normexp.probes.probe import Probe, Readings, site_key


class StreamGradient(Probe):
    """√Σ g² of the loss gradient for the stream after every site, and its share of the largest   Liu et al. 2020

    stream_grad_norm; stream_grad_relative, the same over the largest of all sites of the model, as in Liu et al.'s
    histogram of gradients by layer; branch_grad_norm, for the branch's output: where the sum is normed that is the
    gradient at the norm's input, so that branch over stream is what the norm leaves of it (Takase et al. 2022).
    The sum runs over real tokens and width; the loss is in nats per label.
    nan where the loss does not come from that tensor. Such is the stream of hyper-connections: probes see the sum of
    its copies, which no site reads.
    """

    def measure(self, context: ProbeContext) -> Readings:
        named = {
            (site, what): context.trace[name]
            for site in context.sites
            for what in ("stream", "branch")
            if (name := f"{site.name}/{what}") in context.trace
        }
        norms = {
            (site, what): self._norm(gradient, tensor, context.mask_of(site.shape.stack))
            for ((site, what), tensor), gradient in zip(
                named.items(), context.gradients(list(named.values())), strict=True
            )
        }
        streams = {site: norm for (site, what), norm in norms.items() if what == "stream"}
        largest = torch.stack([*streams.values(), torch.zeros_like(context.nll)]).nan_to_num(0.0).max()
        relative = {site: torch.where(largest == 0, norm, norm / largest) for site, norm in streams.items()}
        return Readings.of(
            [(site_key(site, f"{what}_grad_norm"), norm) for (site, what), norm in norms.items()]
            + [(site_key(site, "stream_grad_relative"), share) for site, share in relative.items()]
        )

    def _norm(self, gradient: Tensor | None, tensor: Tensor, mask: Tensor | None) -> Tensor:
        gradient = torch.full_like(tensor, torch.nan) if gradient is None else gradient
        return torch.linalg.vector_norm(valid_tokens(gradient, mask))
