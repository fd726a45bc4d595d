"""Norm of the branch's output: each branch adds a vector of known size, and the stream is left alone."""

from typing import Any

from torch import Tensor, nn

from normexp.variants import Site, Variant


class ResPostNorm(Variant):
    """x ← x + LN(F(x)), LN at the end   Tay et al. 2022, OLMo et al. 2025 (OLMo 2)

    Tay et al.'s survey prints the sum as the Transformer's equation and no norm after the last layer: final_norm=false.
    OLMo 2 closes with a norm, and norms queries and keys besides, which is left out here.
    """

    def __init__(self, *shape_and_norm: Any, final_norm: bool = True) -> None:
        super().__init__(*shape_and_norm)
        self.final_norm = self.make_norm(self.shape.width) if final_norm else nn.Identity()

    def join(self, x: Tensor, site: Site) -> Tensor:
        return x + site.norm(site.branch(x))

    def finish_stream(self, stream: Tensor) -> Tensor:
        return self.final_norm(stream)


class SwinV2(ResPostNorm):
    """x ← x + LN(F(x)), gain and bias of LN from 0, LN at the end   Liu et al. 2022 (Swin Transformer V2)

    A stack starts as the identity: at the first step nothing inside a branch has a gradient but the norm after it.
    Left out: cosine attention, and the norm on the stream that the largest models have every few blocks.
    """

    def build_site(self, site: Site) -> None:
        super().build_site(site)
        for name, parameter in site.norm.named_parameters():
            if name in ("weight", "bias"):  # a norm's other scalars start as its class says
                nn.init.zeros_(parameter)
