"""A learned scalar on the branches of a layer instead of norms."""

from torch import Tensor, nn

from normexp.variants import MakeNorm, Site, StackShape
from normexp.variants.skip_init import SkipInit


class ReZero(SkipInit):
    """The residual sum with one learned scalar per layer on its branches.

    The sub-layers of a layer share one α, as in the authors' code (rezero, rztx.py). Gradient tables list a shared α at
    the layer's first site.
    per_sublayer: each sub-layer has a separate α, which is SkipInit.
    """

    equation = "x ← x + α F(x), one α per layer, α = 0 at the start"
    paper = "bachlechner2020"
    verified = "authors' code; whether the paper's text shares α is not checked"

    def __init__(self, shape: StackShape, make_norm: MakeNorm, *, per_sublayer: bool = False) -> None:
        super().__init__(shape, make_norm)
        self.per_sublayer = per_sublayer
        self.shared: dict[int, nn.Parameter] = {}  # by layer; a plain dict, so that only its sites own it

    def build_site(self, site: Site) -> None:
        super().build_site(site)
        if not self.per_sublayer:
            site.alpha = self.shared.setdefault(site.layer, site.alpha)

    def join(self, x: Tensor, site: Site) -> Tensor:
        return x + site.alpha * site.branch(x)
