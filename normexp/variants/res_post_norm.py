"""Norm of the branch's output: each branch adds a vector of known size, and no norm is on the stream."""

from torch import Tensor, nn

from normexp.variants import MakeNorm, Site, StackShape
from normexp.variants.final_norm import FinalNorm


class ResPostNorm(FinalNorm):
    """The residual sum with a norm on the output of each branch.

    Tay et al.'s survey prints this sum as the Transformer's equation and no norm after the last layer:
    final_norm=false. OLMo 2 ends with a norm. It also norms queries and keys, which is not included here.
    """

    equation = "x ← x + LN(F(x)), LN at the end"
    paper: str | tuple[str, ...] = ("tay2022", "olmo2025")
    verified = "OLMo's code, Tay et al.'s printed equation"

    def __init__(self, shape: StackShape, make_norm: MakeNorm, *, final_norm: bool = True) -> None:
        super().__init__(shape, make_norm)
        if not final_norm:
            self.final_norm = nn.Identity()

    def join(self, x: Tensor, site: Site) -> Tensor:
        return x + site.norm(site.branch(x))


class SwinV2(ResPostNorm):
    """ResPostNorm whose norms after the branches start with gain and bias 0.

    A stack starts as the identity, unless its norm has no gain (ada_norm): at the first step nothing inside a branch
    has a gradient except the norm after it.
    Not included: cosine attention, and the norm on the stream that the largest models have every few blocks.
    """

    equation = "x ← x + LN(F(x)), gain and bias of LN from 0, LN at the end"
    paper = "liu2022_swin_v2"
    verified = "authors' code"

    def build_site(self, site: Site) -> None:
        super().build_site(site)
        for name, parameter in site.norm.named_parameters():
            if name in ("weight", "bias", "scale"):  # other scalars of a norm start as its class defines
                nn.init.zeros_(parameter)
