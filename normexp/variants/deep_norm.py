"""Post-LN with a heavier skip and lighter branches, both by depth."""

from typing import Any

from torch import Tensor

from normexp.variants import Site, Variant

SCALED = ("value", "out", "fc1", "fc2")


class DeepNorm(Variant):
    """x ← LN(αx + F(x)), initial value, out, fc1 and fc2 × β   Wang et al. 2022 (DeepNet)

    With N encoder and M decoder layers: alone α = (2N)^¼, β = (8N)^−¼ (a decoder with M); together in the encoder
    α = 0.81 (N⁴M)^1/16, β = 0.87 (N⁴M)^−1/16, in the decoder α = (3M)^¼, β = (12M)^−¼. 0.81 and 0.87 are the paper's
    roundings of 27^−1/16 and 27^1/16/√2. Queries, keys and biases are not scaled. The authors' torchscale has 1.15,
    the inverse of 0.87, in the encoder's β and scales biases too; this is the paper.
    """

    needs_feed_forward = True

    def __init__(self, *shape_and_norm: Any) -> None:
        super().__init__(*shape_and_norm)
        n, m = self.shape.encoder_depth, self.shape.decoder_depth
        if n and m:
            both = (n**4 * m) ** (1 / 16)
            constants = {"encoder": (0.81 * both, 0.87 / both), "decoder": ((3 * m) ** 0.25, (12 * m) ** -0.25)}
            self.alpha, self.beta = constants[self.shape.stack]
        else:
            self.alpha, self.beta = (2 * (n + m)) ** 0.25, (8 * (n + m)) ** -0.25

    def init_scale(self, site: Site | None, role: str) -> float:
        return self.beta if role in SCALED else 1.0

    def join(self, x: Tensor, site: Site) -> Tensor:
        return site.norm(self.alpha * x + site.branch(x))
