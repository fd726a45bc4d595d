"""A stream that each sub-layer erases and rewrites along one direction."""

import torch
from torch import Tensor, nn

from normexp.variants import Site
from normexp.variants.pre_ln import PreLN


class DeepDelta(PreLN):
    """Deep delta learning: a branch gives a direction k, along which the stream is set to v as far as β says.

    β between 0 and 2 depends on the normed stream and is 1 at the start, which replaces the part of x along k; 2 would
    reflect it. v between 0 and 4 depends on the stream itself. This is the paper's form with a scalar v per token
    (d_v = 1). The weights of β and v start at 0; the authors draw them, and only β's bias fixes its start.
    """

    equation = "x ← x + β(v − kᵀx)k, k = f/‖f‖, f = F(LN(x)), β = 2σ(wᵀLN(x) + b), v = 4σ(uᵀx + c), LN at the end"
    paper = "zhang2026"
    verified = "authors' code; that w, u and c start at 0 is our choice"

    def build_site(self, site: Site) -> None:
        super().build_site(site)
        site.beta_of, site.value_of = (nn.Parameter(torch.zeros(site.width)) for _ in range(2))  # w, u
        site.beta_bias, site.value_bias = (nn.Parameter(torch.zeros(())) for _ in range(2))  # b, c

    def join(self, x: Tensor, site: Site) -> Tensor:
        normed = site.norm(x)
        f = site.branch(normed)
        k = f / torch.sqrt(torch.sum(f * f, dim=-1, keepdim=True) + 1e-10)  # the authors' eps
        beta = 2 * torch.sigmoid(torch.matmul(normed, site.beta_of) + site.beta_bias)
        value = 4 * torch.sigmoid(torch.matmul(x, site.value_of) + site.value_bias)
        return x + torch.unsqueeze(beta * (value - torch.sum(k * x, dim=-1)), -1) * k
