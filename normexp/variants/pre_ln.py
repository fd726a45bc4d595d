"""Norm inside the branch, none on the identity path."""

from torch import Tensor

from normexp.variants import Site
from normexp.variants.final_norm import FinalNorm


class PreLN(FinalNorm):
    """A norm on what each branch reads, and one after the last layer."""

    equation = "x ← x + F(LN(x)), LN at the end"
    paper: str | tuple[str, ...] = ("wang2019", "xiong2020")
    verified = "paper (Xiong et al.), torch.nn (norm_first=True)"

    def join(self, x: Tensor, site: Site) -> Tensor:
        return x + site.branch(site.norm(x))
