"""Whether the gradient of the stream is the one at its top plus what comes through the branches."""

from typing import ClassVar

import torch
from torch import Tensor

from normexp.model.buffers import unchanged_buffers
from normexp.model.stack import Stack
from normexp.model.variant import Site
from normexp.probes.context import ProbeContext, valid_tokens
from normexp.probes.probe import Probe, Readings, site_key


class IdentityPath(Probe):
    """Error of equation 6 of Wang et al. 2019 for the stream after every layer but the last.

    If every skip is an identity, the last stream is x_L = x_l + Σ F_k over the branches k above layer l, so that the
    gradient at x_l is g_L + Σ (∂F_k/∂x_l)ᵀ g_L, with g_L the gradient at x_L and total derivatives. Both sides are
    computed by automatic differentiation. path_error: norm of their difference over the norm of the gradient at x_l;
    0 up to rounding in Pre-LN, not where a norm or a factor sits on the skip or on the sum.
    NaN where the forward did not record the streams, the loss does not use them, or its gradient there is 0.
    """

    measures = "error of gradient = gradient at the top + gradients through branches; 0: every skip is an identity"
    good = "0: every skip is an identity"
    statistics: ClassVar[dict[str, str]] = {
        "path_error": "distance of the stream's gradient from that at its top plus those through branches, relative",
    }
    paper = "wang2019"

    def measure(self, context: ProbeContext) -> Readings:
        return Readings.of(
            (site_key(site, "path_error"), error)
            for stack in context.model.stacks
            for site, error in self._errors(context, stack).items()
        )

    def _errors(self, context: ProbeContext, stack: Stack) -> dict[Site, Tensor]:
        """The error after the last site of every layer but the last."""
        mask = context.mask_of(stack.shape.stack)
        ends = {site.layer: site for site in stack.sites}  # the last site of each layer
        *below, top = ends.values()
        streams = [context.trace.get(f"{site.name}/stream") for site in (*below, top)]
        nothing = torch.full_like(context.nll.detach(), torch.nan)
        if any(stream is None for stream in streams):
            return dict.fromkeys(below, nothing)
        known = [stream for stream in streams if stream is not None]
        gradients = context.gradients(known)
        errors = {}
        for site, stream, gradient in zip(below, known[:-1], gradients[:-1], strict=True):
            through = self._through_branches(context, stack, site, stream, gradients[-1])
            if gradient is None or gradients[-1] is None or through is None:
                errors[site] = nothing
                continue
            left, right = valid_tokens(gradient, mask), valid_tokens(gradients[-1] + through, mask)
            errors[site] = torch.linalg.vector_norm(left - right) / torch.linalg.vector_norm(left)
        return errors

    def _through_branches(
        self, context: ProbeContext, stack: Stack, below: Site, stream: Tensor, at_top: Tensor | None
    ) -> Tensor | None:
        """Σ (∂F_k/∂x_l)ᵀ g_L over the branches above a site."""
        names = [f"{site.name}/branch" for site in stack.sites if site.index > below.index]
        branches = [context.trace[name] for name in names if name in context.trace]
        if at_top is None or len(branches) < len(names):
            return None
        with unchanged_buffers(context.model):
            return torch.autograd.grad(
                branches, stream, [at_top.to(b.dtype) for b in branches], retain_graph=True, allow_unused=True
            )[0]
