"""Pre-LN whose sums keep the variance of the stream."""

import math

from torch import Tensor

from normexp.variants import MakeNorm, Site, StackShape
from normexp.variants.pre_ln import PreLN


class DeepScale(PreLN):
    """Pre-LN with constant factors on skip and branch whose squares sum to 1.

    L is the number of layers of this stack. Where L ≤ k no skip is left: λ = 0, β = 1.
    k: 1, since the authors' code has β² = 0.005 at 192 layers (k = 0.96). Ports write β² = 2/N; that is the same where
    N counts the two sub-layers of a layer, and twice as much where it counts layers. The initial weights of DeepScaleLM
    are init=deep_scale. Not included: its Post-LN form.
    """

    equation = "x ← λx + βF(LN(x)), β² = k/L, λ² = 1 − β², LN at the end"
    paper = "kedia2024"
    verified = "authors' code at 192 layers; not checked: the paper's text, a decoder that reads an encoder"

    def __init__(self, shape: StackShape, make_norm: MakeNorm, *, k: float = 1.0) -> None:
        super().__init__(shape, make_norm)
        self.k = k
        branch = min(1.0, k / shape.depth)
        self.skip, self.beta = math.sqrt(1 - branch), math.sqrt(branch)

    def join(self, x: Tensor, site: Site) -> Tensor:
        return self.skip * x + self.beta * site.branch(site.norm(x))

    def warnings(self) -> list[str]:
        depth = self.shape.depth
        return [] if self.skip else [f"no skip at depth {depth}: λ = 0 where L ≤ k = {self.k:g}"]
