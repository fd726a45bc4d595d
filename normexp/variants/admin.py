"""Post-LN whose skip weighs as much as the branches below it add up to: measured, or by a formula."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from normexp.errors import ConfigError
from normexp.model.replaced import replaced
from normexp.variants import MakeNorm, Site, StackShape, Variant


class Admin(Variant):
    """Post-LN with a learned weight per channel on the skip, whose start is measured on one batch.

    ω₁ = 1 and ω²ᵢ₊₁ = Var(ωᵢ x) + Var(F(x)), over all elements of the batch, padding included, in training mode. Each ω
    is already in effect while those above it are measured. Every stack starts at 1. The authors' code does it so; the
    paper's formula, ω²ᵢ = Σⱼ﹤ᵢ Var(Fⱼ), has no term for the variance of the embedding. With addon=prores the branches
    are measured with the factors of step 1.
    """

    equation = "x ← LN(ω ⊙ x + F(x)), ω from one batch, then learned"
    paper = "liu2020"
    verified = "authors' code, x-transformers; the paper's formula is from memory"
    needs_norm = True  # each ω is as large as the stream below it: only a norm undoes that

    def build_site(self, site: Site) -> None:
        super().build_site(site)
        site.omega = nn.Parameter(torch.ones(site.width))

    def join(self, x: Tensor, site: Site) -> Tensor:
        return site.norm(site.omega * x + site.branch(x))

    def calibrate(self, forward: Callable[[], Any]) -> None:
        omega = 1.0

        def measure(x: Tensor, site: Site) -> Tensor:
            nonlocal omega
            site.omega.data.fill_(omega)
            skip, branch = site.omega * x, site.branch(x)
            omega = math.sqrt(skip.var(correction=0) + branch.var(correction=0))
            return site.norm(skip + branch)

        with replaced(self, join=measure):
            forward()


class AdminConstant(Variant):
    """Post-LN with one constant factor on the skip, computed from the number S of sub-layers.

    output_change: how much the output may move with the weights, as a function of S: log; constant, ω² = S; or linear,
    ω = 1, which is Post-LN. S counts the sub-layers of this stack: 2N in an encoder, 3M in a decoder that reads one.
    Raises ConfigError for any other output_change.
    """

    equation = "x ← LN(ωx + F(x)), ω² = (S + 1)/ln(S + 1) − 1 from the number S of sub-layers"
    paper = "liu2022_admin_torch"
    verified = "authors' code, x-transformers"

    def __init__(self, shape: StackShape, make_norm: MakeNorm, *, output_change: str = "log") -> None:
        super().__init__(shape, make_norm)
        s = len(self.sites(1)) * shape.depth
        squares = {"log": (s + 1) / math.log(s + 1) - 1, "constant": s, "linear": 1}
        if output_change not in squares:
            raise ConfigError(f"variant.output_change must be one of {', '.join(squares)}; got {output_change}")
        self.omega = math.sqrt(squares[output_change])

    def join(self, x: Tensor, site: Site) -> Tensor:
        return site.norm(self.omega * x + site.branch(x))
