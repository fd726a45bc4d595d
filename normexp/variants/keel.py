"""Post-LN with a skip as heavy as the stack is deep, and a norm inside the branch too."""

from typing import Any

from torch import Tensor

from normexp.variants import Site, Variant


class Keel(Variant):
    """x ← LN_out(αx + F(LN_in(x))), α = S, the number of sub-layers   Chen & Wei 2026

    S is this stack's own: 2N in an encoder, 3M in a decoder that reads one. alpha sets another constant. Written from
    public ports that agree with each other, not checked against the paper: whether its first layer is special is open.
    """

    def __init__(self, *shape_and_norm: Any, alpha: float | None = None) -> None:
        super().__init__(*shape_and_norm)
        self.alpha = float(len(self.sites(1)) * self.shape.depth if alpha is None else alpha)

    def build_site(self, site: Site) -> None:
        site.norm_in, site.norm_out = self.make_norm(site.width), self.make_norm(site.width)

    def join(self, x: Tensor, site: Site) -> Tensor:
        return site.norm_out(self.alpha * x + site.branch(site.norm_in(x)))
