"""Post-LN in the lower layers, Pre-LN in the upper ones."""

import math
from typing import Any

from torch import Tensor

from normexp.variants import Site, Variant
from normexp.variants.mixed import Mixed
from normexp.variants.post_ln import PostLN
from normexp.variants.pre_ln import PreLN


class MixLN(Mixed):
    """x ← LN(x + F(x)) in layers 1 to ⌊αL⌋, x ← x + F(LN(x)) above, LN at the end   Li et al. 2024

    fraction: α, 0.25 in most of the paper's runs. L is the depth of the stack itself: the paper has decoders only, so
    that encoder and decoder of a translation model are each split for themselves is ours. Below depth 1/α there is no
    Post-LN layer at all.
    """

    def __init__(self, *shape_and_norm: Any, fraction: float = 0.25) -> None:
        super().__init__(*shape_and_norm)
        self.fraction = fraction
        self.post_layers = math.floor(fraction * self.shape.depth + 1e-9)  # 0.29 · 100 is 28.999… in floating point
        self.lower, self.upper = PostLN(*shape_and_norm), PreLN(*shape_and_norm)

    def at(self, site: Site) -> Variant:
        return self.lower if site.layer <= self.post_layers else self.upper

    def finish_stream(self, stream: Tensor) -> Tensor:
        return self.upper.finish_stream(stream)

    def warnings(self) -> list[str]:
        only = {0: "Pre-LN", self.shape.depth: "Post-LN"}.get(self.post_layers)
        count = f"⌊{self.fraction:g} · {self.shape.depth}⌋ = {self.post_layers} of its layers are Post-LN"
        return [f"not mixed: {count}, so all are {only}"] if only else []
