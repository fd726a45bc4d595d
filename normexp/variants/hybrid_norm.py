"""Norms on query, key and value in attention, and a norm before the whole feed-forward sum."""

from torch import Tensor, nn

from normexp.variants import MakeNorm, Site, StackShape, Variant
from normexp.variants.final_norm import FinalNorm
from normexp.variants.mixed import Mixed


class QKVNorm(Variant):
    """The residual sum of HybridNorm's attention: norms on Q, K and V, and none outside the branch."""

    equation = "x ← x + F(x), LN on Q, K and V inside F"

    def build_site(self, site: Site) -> None:
        """No norm outside the branch."""

    def branch_modules(self, site: Site) -> dict[str, nn.Module]:
        return {slot: self.make_norm(site.width // site.shape.heads) for slot in ("query", "key", "value")}

    def join(self, x: Tensor, site: Site) -> Tensor:
        return x + site.branch(x)


class NormedQKVNorm(QKVNorm):
    """The same with a norm on what the branch reads."""

    equation = "x ← x + F(LN(x)), LN on Q, K and V inside F"

    def build_site(self, site: Site) -> None:
        site.norm = self.make_norm(site.width)

    def join(self, x: Tensor, site: Site) -> Tensor:
        return x + site.branch(site.norm(x))


class NormedSkip(Variant):
    """The residual sum of HybridNorm's feed-forward: skip and branch both read the normed stream."""

    equation = "x ← z + F(z), z = LN(x)"

    def join(self, x: Tensor, site: Site) -> Tensor:
        z = site.norm(x)
        return z + site.branch(z)


class NormedBranch(Variant):
    """The residual sum of Pre-LN, without a final norm."""

    equation = "x ← x + F(LN(x))"

    def join(self, x: Tensor, site: Site) -> Tensor:
        return x + site.branch(site.norm(x))


class HybridNorm(FinalNorm, Mixed):
    """Attention with normed queries, keys and values; a feed-forward whose skip starts after its norm.

    Q, K and V are normed per head, each by one norm of the head's width that the heads of a layer share. The skip of
    the feed-forward starts after the norm, as in the authors' configuration, so the norm is on the main path.
    Uncertain: the paper has decoders only. Cross-attention is joined like self-attention here, and its keys and values
    are normed as they come from the memory; that is our choice. The norm at the end is that of the OLMo model which the
    authors changed. They draw weights with Megatron's init (output projections divided by √(2L)); here the init stays a
    choice of the run.
    """

    equation = "y = x + A(x) with LN on Q, K and V; x ← z + FFN(z), z = LN(y); LN at the end"
    paper = "zhuo2025"
    verified = "authors' code; cross-attention is our choice"
    needs_feed_forward = True

    def __init__(self, shape: StackShape, make_norm: MakeNorm) -> None:
        super().__init__(shape, make_norm)
        self.attention, self.feed_forward = QKVNorm(shape, make_norm), NormedSkip(shape, make_norm)

    def at(self, site: Site) -> Variant:
        return self.feed_forward if site.kind == "feed_forward" else self.attention


class HybridNormStar(HybridNorm):
    """HybridNorm whose first layer is Pre-LN and keeps the norms on Q, K and V.

    The authors' command line sets it so: in block 0 it turns the attention's norm on and the feed-forward's normed skip
    off. In an encoder-decoder both stacks have such a first layer, which is our choice. What else is uncertain: see
    HybridNorm.
    """

    equation = "hybrid_norm, but layer 1 is y = x + A(LN(x)) with LN on Q, K and V too, x ← y + FFN(LN(y))"
    paper = "zhuo2025"
    verified = "authors' command line; encoder-decoders are our choice"

    def __init__(self, shape: StackShape, make_norm: MakeNorm) -> None:
        super().__init__(shape, make_norm)
        self.first_attention, self.first_feed_forward = NormedQKVNorm(shape, make_norm), NormedBranch(shape, make_norm)

    def at(self, site: Site) -> Variant:
        if site.layer > 1:
            return super().at(site)
        return self.first_feed_forward if site.kind == "feed_forward" else self.first_attention
