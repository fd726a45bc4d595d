"""All branches of a layer read the same normed stream."""

from torch import Tensor

from normexp.variants import Site
from normexp.variants.pre_ln import PreLN


class Parallel(PreLN):
    """x ← x + A(LN(x)) + FFN(LN(x)), one LN for both, LN at the end   Wang & Komatsuzaki 2021, Chowdhery et al. 2022

    GPT-J and PaLM are decoders on their own; a cross-attention is one more term of the sum here. GPT-NeoX gives each
    branch a norm of its own, which is left out.
    """

    needs_feed_forward = True

    def build_site(self, site: Site) -> None:
        if site.kind == "attention":  # the first of its layer
            super().build_site(site)

    def layer(self, stream: Tensor, sites: list[Site]) -> Tensor:
        normed = sites[0].norm(stream)
        for site in sites:
            stream = site.capture("stream", stream + site.branch(normed))
        return stream
