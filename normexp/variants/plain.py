"""Neither norm nor residual connection."""

from torch import Tensor

from normexp.variants import Site, Variant


class Plain(Variant):
    """The branches alone, one after the other: a control for what norm and skip do together."""

    equation = "x ← F(x)"
    verified = "a control of ours"
    uses_norm = False

    def join(self, x: Tensor, site: Site) -> Tensor:
        return site.branch(x)
