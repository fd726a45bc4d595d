"""Pre-LN whose sums keep the variance of the stream."""

import math
from typing import Any

from torch import Tensor

from normexp.variants import Site
from normexp.variants.pre_ln import PreLN


class DeepScale(PreLN):
    """x ← λx + βF(LN(x)), β² = k/L, λ² = 1 − β², LN at the end   Kedia et al. 2024 (DeepScaleLM)

    L is the number of layers of this stack, k is 2; where L ≤ k no skip is left: λ = 0, β = 1. Constants by public
    ports that agree with each other, not checked against the paper, nor what it does in a decoder that reads an
    encoder. Left out: its initial weights, which depend on dropout and on how alike tokens are, and its Post-LN form.
    """

    def __init__(self, *shape_and_norm: Any, k: float = 2.0) -> None:
        super().__init__(*shape_and_norm)
        self.k = k
        branch = min(1.0, k / self.shape.depth)
        self.skip, self.beta = math.sqrt(1 - branch), math.sqrt(branch)

    def join(self, x: Tensor, site: Site) -> Tensor:
        return self.skip * x + self.beta * site.branch(site.norm(x))

    def warnings(self) -> list[str]:
        depth = self.shape.depth
        return [] if self.skip else [f"no skip at {depth} layers: λ = 0 where L ≤ k = {self.k:g}"]
