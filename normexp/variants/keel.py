"""Post-LN with a skip as heavy as the stack is deep, and a second norm on what the branch reads."""

from torch import Tensor

from normexp.variants import MakeNorm, Site, StackShape, Variant


class Keel(Variant):
    """Post-LN with a constant factor on the skip and a norm before each branch.

    S counts the sub-layers of this stack: 2N in an encoder, 3M in a decoder that reads one.
    alpha: another constant than S.
    """

    equation = "x ← LN_out(αx + F(LN_in(x))), α = S, the number of sub-layers"
    paper = "chen2026"
    verified = "public ports that agree, x-transformers; not checked: the paper, a special first layer"

    def __init__(self, shape: StackShape, make_norm: MakeNorm, *, alpha: float | None = None) -> None:
        super().__init__(shape, make_norm)
        self.alpha = float(len(self.sites(1)) * shape.depth if alpha is None else alpha)

    def build_site(self, site: Site) -> None:
        site.norm_in, site.norm_out = self.make_norm(site.width), self.make_norm(site.width)

    def join(self, x: Tensor, site: Site) -> Tensor:
        return site.norm_out(self.alpha * x + site.branch(site.norm_in(x)))
