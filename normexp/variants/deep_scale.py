"""Pre-LN whose sums keep the variance of the stream."""

import math

from torch import Tensor

from normexp.variants import MakeNorm, Site, StackShape
from normexp.variants.pre_ln import PreLN


class DeepScale(PreLN):
    """Pre-LN with constant factors on skip and branch whose squares sum to 1.

    L is the number of layers of this stack, k is 2. Where L ≤ k no skip is left: λ = 0, β = 1. Not included: the
    initial weights of DeepScaleLM, which depend on dropout and on how similar the tokens are, and its Post-LN form.
    """

    equation = "x ← λx + βF(LN(x)), β² = k/L, λ² = 1 − β², LN at the end"
    paper = "kedia2024"
    verified = "public ports that agree; neither the paper nor a decoder that reads an encoder is checked"

    def __init__(self, shape: StackShape, make_norm: MakeNorm, *, k: float = 2.0) -> None:
        super().__init__(shape, make_norm)
        self.k = k
        branch = min(1.0, k / shape.depth)
        self.skip, self.beta = math.sqrt(1 - branch), math.sqrt(branch)

    def join(self, x: Tensor, site: Site) -> Tensor:
        return self.skip * x + self.beta * site.branch(site.norm(x))

    def warnings(self) -> list[str]:
        depth = self.shape.depth
        return [] if self.skip else [f"no skip at {depth} layers: λ = 0 where L ≤ k = {self.k:g}"]
