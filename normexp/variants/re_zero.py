"""A learned scalar on the branches of a layer instead of norms."""

from typing import Any

from torch import Tensor, nn

from normexp.variants import Site
from normexp.variants.skip_init import SkipInit


class ReZero(SkipInit):
    """x ← x + α F(x), one α per layer, α = 0 at the start   Bachlechner et al. 2020

    A layer's sub-layers share one α, as in the authors' code (rezero, rztx.py); per_sublayer gives each its own, which
    is SkipInit. Gradient tables have a shared α at the layer's first site.
    Whether the paper's text shares it is not checked.
    """

    def __init__(self, *shape_and_norm: Any, per_sublayer: bool = False) -> None:
        super().__init__(*shape_and_norm)
        self.per_sublayer = per_sublayer
        self.shared: dict[int, nn.Parameter] = {}  # by layer; a plain dict, so that its sites alone own it

    def build_site(self, site: Site) -> None:
        super().build_site(site)
        if not self.per_sublayer:
            site.alpha = self.shared.setdefault(site.layer, site.alpha)

    def join(self, x: Tensor, site: Site) -> Tensor:
        return x + site.alpha * site.branch(x)
