"""Pre-LN whose first sub-layer reads the embedding without a norm."""

from torch import nn

from normexp.variants import Site
from normexp.variants.pre_ln import PreLN


class FirstNormFree(PreLN):
    """Pre-LN without the norm of the first attention of each stack (index 1).

    Not included from the FT-Transformer: the gated feed-forward, Kaiming weights in attention, and the ReLU between the
    last norm and the head.
    """

    equation = "x ← x + F(LN(x)), but x + F(x) at the first site, LN at the end"
    paper = "gorishniy2021"
    verified = "authors' code (rtdl)"

    def build_site(self, site: Site) -> None:
        super().build_site(site)
        if site.index == 1:
            site.norm = nn.Identity()
