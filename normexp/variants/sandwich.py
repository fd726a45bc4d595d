"""Norm on both sides of the branch."""

from torch import Tensor

from normexp.variants import MakeNorm, Site, StackShape
from normexp.variants.pre_ln import PreLN


class Sandwich(PreLN):
    """Pre-LN with a second norm on the output of each branch.

    CogView first divides a norm's input by its largest entry. That changes only the weight of eps and is not included.
    """

    equation = "x ← x + LN_out(F(LN_in(x))), LN at the end"
    paper = "ding2021"
    verified = "authors' code, x-transformers"

    def build_site(self, site: Site) -> None:
        site.norm_in, site.norm_out = self.make_norm(site.width), self.make_norm(site.width)

    def join(self, x: Tensor, site: Site) -> Tensor:
        return x + site.norm_out(site.branch(site.norm_in(x)))


class PeriLN(Sandwich):
    """The sandwich with a norm on the embedding, which the paper calls optional.

    Gemma 2 and 3 are the sandwich without that norm.
    """

    equation = "x₀ = LN(embedding), x ← x + LN_out(F(LN_in(x))), LN at the end"
    paper = "kim2025"
    verified = "summaries; that the norm on the embedding is optional is not checked"

    def __init__(self, shape: StackShape, make_norm: MakeNorm) -> None:
        super().__init__(shape, make_norm)
        self.embedding_norm = make_norm(shape.width)

    def start_stream(self, x: Tensor) -> Tensor:
        return self.embedding_norm(x)
