"""Post-LN with a skip as heavy as the branches below it add up to: measured, or by a formula."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from normexp.errors import ConfigError
from normexp.variants import Site, Variant


class Admin(Variant):
    """x ← LN(ω ⊙ x + F(x)), ω from one batch, then learned   Liu et al. 2020

    ω₁ = 1, and ω²ᵢ₊₁ = Var(ωᵢ x) + Var(F(x)) over all elements of the batch, padding included, in training mode, each
    ω in effect while those above it are measured; every stack starts at 1. So the authors' code; the paper's formula,
    ω²ᵢ = Σⱼ﹤ᵢ Var(Fⱼ) from memory, lacks the variance of the embedding.
    """

    needs_norm = True  # each ω is as large as the stream below it: only a norm brings that back

    def build_site(self, site: Site) -> None:
        super().build_site(site)
        site.omega = nn.Parameter(torch.ones(site.width))

    def join(self, x: Tensor, site: Site) -> Tensor:
        return site.norm(site.omega * x + site.branch(x))

    def calibrate(self, forward: Callable[[], Any]) -> None:
        omega = 1.0

        def measured(x: Tensor, site: Site) -> Tensor:
            nonlocal omega
            site.omega.data.fill_(omega)
            skip, branch = site.omega * x, site.branch(x)
            omega = math.sqrt(skip.var(correction=0) + branch.var(correction=0))
            return site.norm(skip + branch)

        self.join = measured  # type: ignore[method-assign]
        try:
            forward()
        finally:
            del self.join


class AdminConstant(Variant):
    """x ← LN(ωx + F(x)), ω² = (S + 1)/ln(S + 1) − 1 from the number S of sub-layers   Liu et al. 2022 (admin-torch)

    output_change is how much the output moves with the weights, as a function of S: log; constant, ω² = S; or linear,
    ω = 1, which is Post-LN. S is this stack's own: 2N in an encoder, 3M in a decoder that reads one.
    """

    def __init__(self, *shape_and_norm: Any, output_change: str = "log") -> None:
        super().__init__(*shape_and_norm)
        s = len(self.sites(1)) * self.shape.depth
        squares = {"log": (s + 1) / math.log(s + 1) - 1, "constant": s, "linear": 1}
        if output_change not in squares:
            raise ConfigError(f"variant.output_change={output_change}: one of {', '.join(squares)} is right")
        self.omega = math.sqrt(squares[output_change])

    def join(self, x: Tensor, site: Site) -> Tensor:
        return site.norm(self.omega * x + site.branch(x))
