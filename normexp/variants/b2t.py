"""Post-LN with a path from the bottom of every layer to its top."""

from typing import Any

from torch import Tensor

from normexp.variants import Site
from normexp.variants.post_ln import PostLN


class B2T(PostLN):
    """x ← LN(x + h + FFN(h)), h = x through Post-LN attention   Takase et al. 2022

    x is what enters the layer, so it is added once, before the last norm only. No final norm.
    weight_scaling: the authors' code multiplies every matrix of a layer, query and key too, by L^(-1/2), L the depth
    of its own stack; it changes the gradients at the start strongly, so it is a switch.
    """

    needs_feed_forward = True

    def __init__(self, *shape_and_norm: Any, weight_scaling: bool = False) -> None:
        super().__init__(*shape_and_norm)
        self.weight_scaling = weight_scaling

    def layer(self, stream: Tensor, sites: list[Site]) -> Tensor:
        *attentions, last = sites
        h = super().layer(stream, attentions)
        return last.capture("stream", last.norm(stream + h + last.branch(h)))

    def init_scale(self, site: Site | None, role: str) -> float:
        return self.shape.depth**-0.5 if self.weight_scaling and site is not None else 1.0
