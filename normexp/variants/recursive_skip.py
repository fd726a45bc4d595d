"""Post-LN that adds its input again, norm after norm."""

from typing import Any

from torch import Tensor, nn

from normexp.variants import Site, Variant


class RecursiveSkip(Variant):
    """y₁ = LN₁(x + F(x)), yₖ = LNₖ(x + yₖ₋₁), x ← y_λ   Liu et al. 2021

    skips is λ, the number of times that x is added; 1 is Post-LN. Each norm has weights of its own; whether the
    paper shares one among them was not checked.
    """

    def __init__(self, *shape_and_norm: Any, skips: int = 2) -> None:
        super().__init__(*shape_and_norm)
        self.skips = skips

    def build_site(self, site: Site) -> None:
        site.norms = nn.ModuleList(self.make_norm(site.width) for _ in range(self.skips))

    def join(self, x: Tensor, site: Site) -> Tensor:
        y = site.branch(x)
        for norm in site.norms:
            y = norm(x + y)
        return y
