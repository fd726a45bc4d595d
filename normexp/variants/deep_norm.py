"""Post-LN with a heavier skip and lighter branches, both by depth."""

from torch import Tensor

from normexp.variants import MakeNorm, Site, StackShape, Variant

SCALED = ("value", "out", "fc1", "fc2")


class DeepNorm(Variant):
    """Post-LN with a constant factor on the skip and smaller initial weights, both computed from the depths.

    With N encoder and M decoder layers. A stack alone: α = (2N)^¼, β = (8N)^−¼ (with M in a decoder). In an
    encoder-decoder: in the encoder α = 0.81 (N⁴M)^1/16, β = 0.87 (N⁴M)^−1/16; in the decoder α = (3M)^¼,
    β = (12M)^−¼. 0.81 and 0.87 are the paper's roundings of 27^−1/16 and 27^1/16/√2. Queries, keys and biases are not
    scaled. The authors' torchscale has 1.15, the inverse of 0.87, in the encoder's β, and it scales biases too; this
    class follows the paper.
    """

    equation = "x ← LN(αx + F(x)), initial value, out, fc1 and fc2 × β"
    paper = "wang2022_deepnet"
    verified = "paper, x-transformers; the authors' torchscale has another β in the encoder"
    needs_feed_forward = True

    def __init__(self, shape: StackShape, make_norm: MakeNorm) -> None:
        super().__init__(shape, make_norm)
        n, m = shape.encoder_depth, shape.decoder_depth
        if n and m:
            both = (n**4 * m) ** (1 / 16)
            constants = {"encoder": (0.81 * both, 0.87 / both), "decoder": ((3 * m) ** 0.25, (12 * m) ** -0.25)}
            self.alpha, self.beta = constants[shape.stack]
        else:
            self.alpha, self.beta = (2 * (n + m)) ** 0.25, (8 * (n + m)) ** -0.25

    def init_scale(self, site: Site | None, role: str) -> float:
        return self.beta if role in SCALED else 1.0

    def join(self, x: Tensor, site: Site) -> Tensor:
        return site.norm(self.alpha * x + site.branch(x))
