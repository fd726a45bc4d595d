"""Post-LN that adds its input several times, with a norm after each."""

from torch import Tensor, nn

from normexp.variants import MakeNorm, Site, StackShape, Variant


class RecursiveSkip(Variant):
    """Post-LN that adds the input of a sub-layer λ times, each time followed by a norm with separate weights.

    skips: λ, the number of times that x is added; 1 is Post-LN.
    """

    equation = "y₁ = LN₁(x + F(x)), yₖ = LNₖ(x + yₖ₋₁), x ← y_λ"
    paper = "liu2021"
    verified = "from memory, no public code found; that its norms have separate weights is our choice"

    def __init__(self, shape: StackShape, make_norm: MakeNorm, *, skips: int = 2) -> None:
        super().__init__(shape, make_norm)
        self.skips = skips

    def build_site(self, site: Site) -> None:
        site.norms = nn.ModuleList(self.make_norm(site.width) for _ in range(self.skips))

    def join(self, x: Tensor, site: Site) -> Tensor:
        y = site.branch(x)
        for norm in site.norms:
            y = norm(x + y)
        return y
