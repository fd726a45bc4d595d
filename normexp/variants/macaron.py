"""Attention between two half steps of feed-forward."""

from torch import Tensor

from normexp.variants import Site
from normexp.variants.pre_ln import PreLN


class Macaron(PreLN):
    """x ← x + ½ FFN(LN(x)), x + A(LN(x)), x + ½ FFN'(LN(x)), LN at the end   Lu et al. 2019

    The two feed-forwards have weights of their own; cross-attention follows attention. The norms stand where the
    authors' training scripts put them. They halve the hidden width, so that a layer keeps its size: set
    model.feed_forward to half for that.
    """

    needs_feed_forward = True

    def sites(self, layer: int) -> dict[str, str]:
        return {"feed_forward_in": "feed_forward", **super().sites(layer)}

    def join(self, x: Tensor, site: Site) -> Tensor:
        return (self.half_step if site.kind == "feed_forward" else super().join)(x, site)

    def half_step(self, x: Tensor, site: Site) -> Tensor:
        return x + site.branch(site.norm(x)) / 2
