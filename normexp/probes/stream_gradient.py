"""Norm of the loss gradient at the stream and at the branch output of every site."""

from typing import ClassVar

import torch
from torch import Tensor

from normexp.probes.context import ProbeContext, valid_tokens
from normexp.probes.probe import Probe, Readings, site_key


class StreamGradient(Probe):
    """√Σ g² of the loss gradient with respect to the stream after every site, over real tokens and width.

    stream_grad_relative: stream_grad_norm over its largest value in the model, as in Liu et al.'s histogram of
    gradients by layer. branch_grad_norm: the same norm for the branch output. Where stream + branch is normalised,
    this is the gradient at the norm's input, so that branch_grad_norm / stream_grad_norm is the factor of the norm
    (Takase et al. 2022). The loss is in nats per label.
    Gradients for streams of different size are not comparable across variants: the stream of Pre-LN grows with depth.
    NaN where the loss does not use the tensor, as with hyper-connections: probes see the sum of the copies of the
    stream, which no site reads.
    """

    measures = "norm of the loss gradient at the stream and at the branches; equal over layers: gradients do not vanish"
    good = "equal over layers"
    statistics: ClassVar[dict[str, str]] = {
        "stream_grad_norm": "norm of the loss gradient with respect to the stream after the site",
        "stream_grad_relative": "norm of the loss gradient at the stream over its largest value in the model",
        "branch_grad_norm": "norm of the loss gradient with respect to the branch output",
    }
    paper = "liu2020"

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
