"""A learned scalar on every branch instead of norms."""

from typing import Any

import torch
from torch import Tensor, nn

from normexp.variants import Site, Variant


class SkipInit(Variant):
    """x ← x + α F(x), α = 0 at the start   De & Smith 2020

    One α per sub-layer. While all are 0 the stack is the identity and every weight inside a branch has gradient 0;
    α itself learns at the first step. start: the authors also use small values, below 1/√(number of branches).
    Proposed for residual networks; the Transformer reading is ours.
    """

    uses_norm = False

    def __init__(self, *shape_and_norm: Any, start: float = 0.0) -> None:
        super().__init__(*shape_and_norm)
        self.start = start

    def build_site(self, site: Site) -> None:
        site.alpha = nn.Parameter(torch.tensor(float(self.start)))

    def join(self, x: Tensor, site: Site) -> Tensor:
        return x + site.alpha * site.branch(x)
