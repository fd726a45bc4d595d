"""Pre-LN that reads the embedding as it is."""

from torch import nn

from normexp.variants import Site
from normexp.variants.pre_ln import PreLN


class FirstNormFree(PreLN):
    """x ← x + F(LN(x)), but x + F(x) at the first site, LN at the end   Gorishniy et al. 2021 (FT-Transformer)

    Only the first attention of a stack goes without: its index is 1. Left out of the FT-Transformer: the gated
    feed-forward, Kaiming weights in attention, and the ReLU between the last norm and the head.
    """

    def build_site(self, site: Site) -> None:
        super().build_site(site)
        if site.index == 1:
            site.norm = nn.Identity()
