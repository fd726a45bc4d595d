"""Post-LN with a constant factor on the skip."""

from torch import Tensor

from normexp.variants import MakeNorm, Site, StackShape, Variant


class ScaledSkip(Variant):
    """Post-LN with one constant factor on every skip, the same at every depth.

    skip: λ; 1 is Post-LN. He et al. study λx + F(x) without the norm, where λⁿ decides over the gradient; with the norm
    λ is only the weight of the skip against the branch.
    """

    equation = "x ← LN(λx + F(x))"
    paper: str | tuple[str, ...] = ("liu2021", "he2016")
    verified = "x-transformers; the paper's λ is from memory"

    def __init__(self, shape: StackShape, make_norm: MakeNorm, *, skip: float = 2.0) -> None:
        super().__init__(shape, make_norm)
        self.skip = skip

    def join(self, x: Tensor, site: Site) -> Tensor:
        return site.norm(self.skip * x + site.branch(x))
