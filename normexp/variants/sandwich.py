"""Norm on both sides of the branch."""

from typing import Any

from torch import Tensor

from normexp.variants import Site
from normexp.variants.pre_ln import PreLN


class Sandwich(PreLN):
    """x ← x + LN_out(F(LN_in(x))), LN at the end   Ding et al. 2021 (CogView)

    CogView divides a norm's input by its largest entry first, which changes nothing but the weight of eps: left out.
    """

    def build_site(self, site: Site) -> None:
        site.norm_in, site.norm_out = self.make_norm(site.width), self.make_norm(site.width)

    def join(self, x: Tensor, site: Site) -> Tensor:
        return x + site.norm_out(site.branch(site.norm_in(x)))


class PeriLN(Sandwich):
    """x₀ = LN(embedding), x ← x + LN_out(F(LN_in(x))), LN at the end   Kim et al. 2025

    The sandwich with a norm on the embedding, which the paper calls optional; Gemma 2 and 3 are the sandwich without.
    That it is optional is read in summaries, not checked against the paper.
    """

    def __init__(self, *shape_and_norm: Any) -> None:
        super().__init__(*shape_and_norm)
        self.embedding_norm = self.make_norm(self.shape.width)

    def start_stream(self, x: Tensor) -> Tensor:
        return self.embedding_norm(x)
