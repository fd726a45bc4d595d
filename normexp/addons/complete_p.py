"""A parametrisation by depth: branches, learning rates and Adam's ε that make one learning rate suit every depth."""

from typing import ClassVar

from torch import Tensor

from normexp.addons import AddOn, Site, StackShape
from normexp.config.limits import Limit


class CompleteP(AddOn):
    """Every branch times m^(−α), with m the stack's layers over those of a base, at which the rate was tuned.

    Everything at the sub-layers (matrices, biases, norms, what a variant keeps there) has the learning rate times
    m^(α−1) and the ε of Adam times m^(−α); embeddings, the head and last norms have them as they are. An optimizer
    without ε has only the rates. This is the part of the paper that concerns depth, without its scaling by width.
    exponent: α, 1 in CompleteP; ½ is depth-µP. base: layers of the base.
    """

    equation = "f ← m^(−α) f, m = L/base, α = 1; in the layers learning rate × m^(α−1), Adam's ε × m^(−α)"
    paper = "dey2025"
    verified = "public ports of the authors' code; encoder-decoders, each stack by its own depth, are our choice"
    limits: ClassVar[dict[str, Limit]] = {"exponent": Limit(ge=0, le=1), "base": Limit(ge=1)}

    def __init__(self, shape: StackShape, *, exponent: float = 1.0, base: int = 2) -> None:
        super().__init__(shape)
        self.exponent, self.times = exponent, shape.depth / base

    def after_branch(self, f: Tensor, site: Site) -> Tensor:
        return self.times**-self.exponent * f

    def option_scales(self, site: Site) -> dict[str, float]:
        return {"lr": self.times ** (self.exponent - 1), "eps": self.times**-self.exponent}
