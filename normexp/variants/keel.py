"""Post-LN with a skip as heavy as the stack is deep, and a second norm on what the branch reads."""

from torch import Tensor

from normexp.variants import MakeNorm, Site, StackShape, Variant


class Keel(Variant):
    """Post-LN with a constant factor on the skip and a norm before each branch.

    S counts the sub-layers of this stack: 2N in an encoder, 3M in a decoder that reads one.
    alpha: another constant than S.
    first_block: the first layer is as in the paper's figure 2: its attention is joined as in Pre-LN, and its
    feed-forward has a norm on the sum but no α. The paper has decoders alone; here every other sub-layer of the first
    layer is joined like its feed-forward, and both stacks of an encoder-decoder have such a layer. Without it the
    embedding is weighted S : 1 against the first branch.
    """

    equation = "x ← LN_out(αx + F(LN_in(x))), α = S, the number of sub-layers; layer 1: x + A(LN(x)), then α = 1"
    paper = "chen2026"
    verified = "paper, public ports; x-transformers but for layer 1; cross-attention in layer 1 is our choice"
    needs_norm = True  # without one every sub-layer multiplies the stream by α

    def __init__(
        self, shape: StackShape, make_norm: MakeNorm, *, alpha: float | None = None, first_block: bool = True
    ) -> None:
        super().__init__(shape, make_norm)
        self.alpha = float(len(self.sites(1)) * shape.depth if alpha is None else alpha)
        self.first_block = first_block

    def build_site(self, site: Site) -> None:
        site.norm_in = self.make_norm(site.width)
        if not (self.first_block and site.index == 1):
            site.norm_out = self.make_norm(site.width)

    def join(self, x: Tensor, site: Site) -> Tensor:
        branch = site.branch(site.norm_in(x))
        if self.first_block and site.index == 1:
            return x + branch
        if self.first_block and site.layer == 1:
            return site.norm_out(x + branch)
        return site.norm_out(self.alpha * x + branch)
