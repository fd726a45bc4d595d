"""A residual connection without any norm."""

from torch import Tensor

from normexp.variants import Site, Variant


class NoNorm(Variant):
    """The plain residual sum, a control for what the norms do.

    Under an init that keeps the size of vectors the variance of the stream about doubles at every sub-layer, so the sum
    needs initial weights made for it: fixup and t_fixup are this sum with such weights.
    """

    equation = "x ← x + F(x)"
    verified = "a control of ours"
    uses_norm = False

    def join(self, x: Tensor, site: Site) -> Tensor:
        return x + site.branch(x)
