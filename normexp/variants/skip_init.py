"""A learned scalar on every branch instead of norms."""

import torch
from torch import Tensor, nn

from normexp.variants import MakeNorm, Site, StackShape, Variant


class SkipInit(Variant):
    """The residual sum with one learned scalar per sub-layer on its branch.

    While all α are 0 the stack is the identity and every weight inside a branch has gradient 0; α itself learns at the
    first step.
    start: the first α; the authors also use small values, below 1/√(number of branches).
    """

    equation = "x ← x + α F(x), α = 0 at the start"
    paper = "de2020"
    verified = "from memory; the paper has residual networks, the Transformer form is ours"
    uses_norm = False

    def __init__(self, shape: StackShape, make_norm: MakeNorm, *, start: float = 0.0) -> None:
        super().__init__(shape, make_norm)
        self.start = start

    def build_site(self, site: Site) -> None:
        site.alpha = nn.Parameter(torch.tensor(float(self.start)))

    def join(self, x: Tensor, site: Site) -> Tensor:
        return x + site.alpha * site.branch(x)
