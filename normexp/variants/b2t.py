"""Post-LN with a path from the bottom of every layer to its top."""

from torch import Tensor

from normexp.variants import MakeNorm, Site, StackShape
from normexp.variants.post_ln import PostLN


class B2T(PostLN):
    """Post-LN that adds the input of each layer once more, before the layer's last norm. No final norm.

    weight_scaling: the authors' code multiplies every matrix of a layer, query and key included, by L^(-1/2), where L
    is the depth of its own stack. That changes the gradients at the start strongly, so it is a switch.
    """

    equation = "x ← LN(x + h + FFN(h)), h = x through Post-LN attention"
    paper = "takase2022"
    verified = "authors' code"
    needs_feed_forward = True

    def __init__(self, shape: StackShape, make_norm: MakeNorm, *, weight_scaling: bool = False) -> None:
        super().__init__(shape, make_norm)
        self.weight_scaling = weight_scaling

    def layer(self, stream: Tensor, sites: list[Site]) -> Tensor:
        *attentions, last = sites
        h = super().layer(stream, attentions)
        return last.norm(stream + h + last.branch(h))

    def init_scale(self, site: Site | None, role: str) -> float:
        return self.shape.depth**-0.5 if self.weight_scaling and site is not None else 1.0
