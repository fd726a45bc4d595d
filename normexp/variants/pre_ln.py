"""Norm inside the branch; the identity path is left alone."""

from typing import Any

from torch import Tensor

from normexp.variants import Site, Variant


class PreLN(Variant):
    """x ← x + F(LN(x)), LN at the end   Wang et al. 2019, Xiong et al. 2020"""

    def __init__(self, *shape_and_norm: Any) -> None:
        super().__init__(*shape_and_norm)
        self.final_norm = self.make_norm(self.shape.width)

    def join(self, x: Tensor, site: Site) -> Tensor:
        return x + site.branch(site.norm(x))

    def finish_stream(self, stream: Tensor) -> Tensor:
        return self.final_norm(stream)
