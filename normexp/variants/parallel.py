"""All branches of a layer read the same normed stream."""

from torch import Tensor

from normexp.variants import Site
from normexp.variants.pre_ln import PreLN


class Parallel(PreLN):
    """Pre-LN whose branches of one layer all read the layer's normed input.

    GPT-J and PaLM are decoders without an encoder; here a cross-attention is one more term of the sum. GPT-NeoX gives
    each branch a separate norm, which is not included.
    """

    equation = "x ← x + A(LN(x)) + FFN(LN(x)), one LN for both, LN at the end"
    paper: str | tuple[str, ...] = ("wang2021_gpt_j", "chowdhery2022")
    verified = "PaLM's equation as others quote it; cross-attention is our choice"
    needs_feed_forward = True

    def build_site(self, site: Site) -> None:
        if site.kind == "attention":  # the first of its layer
            super().build_site(site)

    def layer(self, stream: Tensor, sites: list[Site]) -> Tensor:
        normed = sites[0].norm(stream)
        for site in sites:
            stream = site.capture("stream", stream + site.branch(normed))
        return stream
