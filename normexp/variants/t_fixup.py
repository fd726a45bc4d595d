"""No norms: initial weights so small that the sums do not need any."""

from torch import Tensor

from normexp.variants import Site, Variant


class TFixup(Variant):
    """The plain residual sum, with initial weights scaled by depth.

    Encoder of N layers: × 0.67 N^(−1/4). Decoder of M layers: × (9M)^(−1/4), cross-attention included. Query and key
    start as the init draws them. The embedding is × (9N)^(−1/4), and with it a tied output matrix; source and target
    share it (in a decoder alone: (9M)^(−1/4)). The paper has one N for both stacks; separate N and M are from the
    authors' code (transformer_layer.py), whose √2 on value only undoes a gain of fairseq's. Derived for
    encoder-decoders with Xavier weights and no warm-up; that an encoder or a decoder alone takes the same constants is
    our choice. With model.fix_norm=true word vectors have norm 1, so the embedding's factor is without effect.
    """

    equation = "x ← x + F(x), value, out, fc1, fc2 and embedding scaled by depth"
    paper = "huang2020"
    verified = "authors' code; a stack alone is our choice"
    uses_norm = False
    needs_feed_forward = True

    def init_scale(self, site: Site | None, role: str) -> float:
        shrunk = (9 * self.shape.depth) ** -0.25
        matrix = 0.67 * self.shape.depth**-0.25 if self.shape.stack == "encoder" else shrunk
        scale = {"embedding": shrunk} | dict.fromkeys(("value", "out", "fc1", "fc2"), matrix)
        return scale.get(role, 1.0)

    def join(self, x: Tensor, site: Site) -> Tensor:
        return x + site.branch(x)
