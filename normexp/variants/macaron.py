"""Attention between two half steps of feed-forward."""

from torch import Tensor

from normexp.variants import Site
from normexp.variants.pre_ln import PreLN


class Macaron(PreLN):
    """Pre-LN with half a feed-forward before attention and half of another one after it.

    The two feed-forwards have separate weights; cross-attention follows attention. The norms are where the authors'
    training scripts put them. The authors halve the hidden width, so that a layer keeps its size: for that, set
    model.feed_forward to half.
    """

    equation = "x ← x + ½ FFN(LN(x)), x + A(LN(x)), x + ½ FFN'(LN(x)), LN at the end"
    paper = "lu2019"
    verified = "authors' training scripts, x-transformers"
    needs_feed_forward = True

    def sites(self, layer: int) -> dict[str, str]:
        return {"feed_forward_in": "feed_forward", **super().sites(layer)}

    def join(self, x: Tensor, site: Site) -> Tensor:
        return (self.half_step if site.kind == "feed_forward" else super().join)(x, site)

    def half_step(self, x: Tensor, site: Site) -> Tensor:
        return x + site.branch(site.norm(x)) / 2
