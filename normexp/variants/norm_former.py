"""Pre-LN with norms and gains inside the branches."""

from typing import Any

import torch
from torch import Tensor, nn

from normexp.variants import Site
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
    """x ← x + LN(A(LN(x))), heads of A gained; x ← x + W₂ LN(act(W₁ LN(x))), LN at the end   Shleifer et al. 2021

    A gain per head, starting at 1, before the output projection, as the paper's equation has it; the authors' fairseq
    code puts it behind that projection instead. The norm of the attention's output comes before dropout.
    Cross-attention is plain Pre-LN, as in their code.
    residual_gain: a gain per channel, starting at 1, on the skip of every feed-forward.
    """

    needs_feed_forward = True

    def __init__(self, *shape_and_norm: Any, residual_gain: bool = False) -> None:
        super().__init__(*shape_and_norm)
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
