"""Post-LN whose feed-forward is joined to the input of the whole layer."""

from torch import Tensor

from normexp.variants import Site
from normexp.variants.post_ln import PostLN


class SpanNorm(PostLN):
    """Post-LN in which the skip of the feed-forward spans the layer: attention reaches the stream through it alone.

    The first attention reads a norm of the embedding; its skip does not. It is b2t without the term h. Not included:
    the paper's scaling of initial weights, for which no source was found. Cross-attention is joined to h, like B2T's.
    """

    equation = "x ← LN(x + FFN(h)), h = LN(x + A(x)); the first A reads LN(x)"
    paper = "wang2026"
    verified = "a public port that quotes equations 5 to 8; cross-attention is our choice"
    needs_feed_forward = True

    def build_site(self, site: Site) -> None:
        super().build_site(site)
        if site.index == 1:
            site.first_norm = self.make_norm(site.width)

    def join(self, x: Tensor, site: Site) -> Tensor:
        return site.norm(x + site.branch(site.first_norm(x) if site.index == 1 else x))

    def layer(self, stream: Tensor, sites: list[Site]) -> Tensor:
        *attentions, last = sites
        h = super().layer(stream, attentions)
        return last.norm(stream + last.branch(h))
