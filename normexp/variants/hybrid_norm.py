"""Norms on query, key and value in attention, Post-LN at the feed-forward."""

from typing import Any

from torch import Tensor, nn

from normexp.variants import Site, Variant
from normexp.variants.mixed import Mixed


class QKVNorm(Variant):
    """x ← x + F(x), LN on Q, K and V inside F"""

    def build_site(self, site: Site) -> None:
        """No norm outside the branch."""

    def branch_modules(self, site: Site) -> dict[str, nn.Module]:
        return {slot: self.make_norm(site.width // site.shape.heads) for slot in ("query", "key", "value")}

    def join(self, x: Tensor, site: Site) -> Tensor:
        return x + site.branch(x)


class NormedQKVNorm(QKVNorm):
    """x ← x + F(LN(x)), LN on Q, K and V inside F"""

    def build_site(self, site: Site) -> None:
        site.norm = self.make_norm(site.width)

    def join(self, x: Tensor, site: Site) -> Tensor:
        return x + site.branch(site.norm(x))


class NormedSkip(Variant):
    """x ← z + F(z), z = LN(x)"""

    def join(self, x: Tensor, site: Site) -> Tensor:
        z = site.norm(x)
        return z + site.branch(z)


class NormedBranch(Variant):
    """x ← x + F(LN(x))"""

    def join(self, x: Tensor, site: Site) -> Tensor:
        return x + site.branch(site.norm(x))


class HybridNorm(Mixed):
    """y = x + A(x) with LN on Q, K and V; x ← z + FFN(z), z = LN(y); LN at the end   Zhuo et al. 2025

    Q, K and V are normed per head, each by one norm of the head's width that the heads of a layer share. The skip of
    the feed-forward starts behind the norm, as in the authors' configuration, so the norm is on the main path.
    Uncertain: the paper has decoders only, so that cross-attention is joined like self-attention, its keys and values
    normed as they come from the memory, is ours; the norm at the end is that of the OLMo model which they changed.
    They draw weights with Megatron's init (output projections divided by √(2L)), which stays a choice of the init here.
    """

    needs_feed_forward = True

    def __init__(self, *shape_and_norm: Any) -> None:
        super().__init__(*shape_and_norm)
        self.attention, self.feed_forward = QKVNorm(*shape_and_norm), NormedSkip(*shape_and_norm)
        self.final_norm = self.make_norm(self.shape.width)

    def at(self, site: Site) -> Variant:
        return self.feed_forward if site.kind == "feed_forward" else self.attention

    def finish_stream(self, stream: Tensor) -> Tensor:
        return self.final_norm(stream)


class HybridNormStar(HybridNorm):
    """hybrid_norm, but layer 1 is y = x + A(LN(x)) with LN on Q, K and V too, x ← y + FFN(LN(y))   Zhuo et al. 2025

    The first layer is Pre-LN and keeps the norms on Q, K and V: so says the authors' command line, which turns the
    attention's norm on and the feed-forward's normed skip off in block 0. In an encoder-decoder both stacks have such
    a first layer, which is ours. What else is uncertain: see HybridNorm.
    """

    def __init__(self, *shape_and_norm: Any) -> None:
        super().__init__(*shape_and_norm)
        self.first_attention, self.first_feed_forward = NormedQKVNorm(*shape_and_norm), NormedBranch(*shape_and_norm)

    def at(self, site: Site) -> Variant:
        if site.layer > 1:
            return super().at(site)
        return self.first_feed_forward if site.kind == "feed_forward" else self.first_attention
