"""Norms without a residual connection."""

from torch import Tensor

from normexp.variants import Site, Variant


class NoResidual(Variant):
    """The norm of each branch and nothing else, a control for what the skip does."""

    equation = "x ← LN(F(x))"
    paper = "dong2021"
    verified = "a control of ours, after the paper"

    def join(self, x: Tensor, site: Site) -> Tensor:
        return site.norm(site.branch(x))
