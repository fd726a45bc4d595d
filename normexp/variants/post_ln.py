"""Norm of the sum."""

from torch import Tensor

from normexp.variants import Site, Variant


class PostLN(Variant):
    """The original Transformer: a norm after each residual sum."""

    equation = "x ← LN(x + F(x))"
    paper = "vaswani2017"
    verified = "torch.nn (norm_first=False)"

    def join(self, x: Tensor, site: Site) -> Tensor:
        return site.norm(x + site.branch(x))
