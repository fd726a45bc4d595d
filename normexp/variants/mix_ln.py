"""Post-LN in the lower layers, Pre-LN in the upper ones."""

import math

from torch import Tensor

from normexp.variants import MakeNorm, Site, StackShape, Variant
from normexp.variants.mixed import Mixed
from normexp.variants.post_ln import PostLN
from normexp.variants.pre_ln import PreLN


class MixLN(Mixed):
    """Post-LN in the first ⌊αL⌋ layers, Pre-LN in all others.

    fraction: α, 0.25 in most of the paper's runs. L is the depth of the stack itself. The paper has decoders only; that
    encoder and decoder of a translation model are split separately is our choice. Below depth 1/α there is no Post-LN
    layer at all.
    """

    equation = "x ← LN(x + F(x)) in layers 1 to ⌊αL⌋, x ← x + F(LN(x)) above, LN at the end"
    paper = "li2024"
    verified = "authors' code; encoder-decoders are our choice"

    def __init__(self, shape: StackShape, make_norm: MakeNorm, *, fraction: float = 0.25) -> None:
        super().__init__(shape, make_norm)
        self.fraction = fraction
        self.post_layers = math.floor(fraction * shape.depth + 1e-9)  # 0.29 · 100 is 28.999… in floating point
        self.lower, self.upper = PostLN(shape, make_norm), PreLN(shape, make_norm)

    def at(self, site: Site) -> Variant:
        return self.lower if site.layer <= self.post_layers else self.upper

    def finish_stream(self, stream: Tensor) -> Tensor:
        return self.upper.finish_stream(stream)

    def warnings(self) -> list[str]:
        only = {0: "Pre-LN", self.shape.depth: "Post-LN"}.get(self.post_layers)
        count = f"⌊{self.fraction:g} · {self.shape.depth}⌋ = {self.post_layers} of its layers are Post-LN"
        return [f"not mixed: {count}, so all are {only}"] if only else []
