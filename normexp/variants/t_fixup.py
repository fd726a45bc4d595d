"""No norms: initial weights small enough that the sums do not need any."""

from torch import Tensor

from normexp.variants import Site, Variant


class TFixup(Variant):
    """x ← x + F(x), value, out, fc1, fc2 and embedding scaled by depth   Huang et al. 2020

    Encoder of N layers: × 0.67 N^(−1/4); decoder of M layers: × (9M)^(−1/4), cross-attention too; query and key as the
    init draws them. The embedding is × (9N)^(−1/4), and with it a tied output matrix; source and target share it (a
    decoder on its own: (9M)^(−1/4)). The paper has one N for both stacks; N and M apart are the authors' code's
    (transformer_layer.py), whose √2 on value only undoes a gain of fairseq's. Derived for encoder-decoders on Xavier
    weights without warm-up; that an encoder or a decoder on its own takes the same constants is ours.
    """

    uses_norm = False
    needs_feed_forward = True

    def init_scale(self, site: Site | None, role: str) -> float:
        shrunk = (9 * self.shape.depth) ** -0.25
        matrix = 0.67 * self.shape.depth**-0.25 if self.shape.stack == "encoder" else shrunk
        scale = {"embedding": shrunk} | dict.fromkeys(("value", "out", "fc1", "fc2"), matrix)
        return scale.get(role, 1.0)

    def join(self, x: Tensor, site: Site) -> Tensor:
        return x + site.branch(x)
