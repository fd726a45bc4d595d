"""Pre-LN with norms and gains inside the branches."""

import torch
from torch import Tensor, nn

from normexp.variants import MakeNorm, Site, StackShape
from normexp.variants.pre_ln import PreLN


class Gain(nn.Module):
    """g · x, g starting at 1."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(shape))

    def forward(self, x: Tensor) -> Tensor:
        return self.gain * x


class HeadGain(Gain):
    """One gain per head."""


class NormFormer(PreLN):
    """Pre-LN with a gain per head, a norm on attention's output and a norm before fc2.

    The head gains start at 1 and come before the output projection, as in the paper's equation; the authors' fairseq
    code has them after that projection. The norm of the attention's output comes before dropout. Cross-attention is
    plain Pre-LN, as in their code.
    residual_gain: a gain per channel, starting at 1, on the skip of every feed-forward.
    """

    equation = "x ← x + LN(A(LN(x))), heads of A gained; x ← x + W₂ LN(act(W₁ LN(x))), LN at the end"
    paper = "shleifer2021"
    verified = "paper's equation; the authors' code has the head gains after the output projection"
    needs_feed_forward = True

    def __init__(self, shape: StackShape, make_norm: MakeNorm, *, residual_gain: bool = False) -> None:
        super().__init__(shape, make_norm)
        self.residual_gain = residual_gain

    def branch_modules(self, site: Site) -> dict[str, nn.Module]:
        slots: dict[str, dict[str, nn.Module]] = {
            "attention": {"heads": HeadGain(site.shape.heads, 1, 1), "output": self.make_norm(site.width)},
            "feed_forward": {"before_fc2": self.make_norm(site.shape.feed_forward)},
        }
        return slots.get(site.kind, {})

    def build_site(self, site: Site) -> None:
        super().build_site(site)
        gained = self.residual_gain and site.kind == "feed_forward"
        site.skip = Gain(site.width) if gained else nn.Identity()

    def join(self, x: Tensor, site: Site) -> Tensor:
        return site.skip(x) + site.branch(site.norm(x))
