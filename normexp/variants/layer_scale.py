"""Pre-LN with a small learned gain per channel on every branch."""

import torch
from torch import Tensor, nn

from normexp.variants import MakeNorm, Site, StackShape
from normexp.variants.pre_ln import PreLN

STARTS = {18: 0.1, 24: 1e-5}  # up to that many layers
DEEPEST = 1e-6


def start_at(depth: int) -> float:
    """Where g starts in a stack of so many layers."""
    return next((value for most, value in STARTS.items() if depth <= most), DEEPEST)


class LayerScale(PreLN):
    """Pre-LN with a learned gain g per channel on the output of every branch.

    g starts at 0.1 in stacks of up to 18 layers, at 1e-5 up to 24 and at 1e-6 beyond, by the depth of its own stack.
    start: another value. The authors' code (deit, cait_models.py) has 1e-5 at 24 layers, 1e-6 at 36 and 48, and 1e-4 as
    the default of the class. CaiT-XXS36 is an exception: it starts at 1e-5 with 36 layers.
    """

    equation = "x ← x + g ⊙ F(LN(x)), LN at the end; g small at the start"
    paper = "touvron2021"
    verified = "authors' code, x-transformers; the 0.1 up to 18 layers is not checked"

    def __init__(self, shape: StackShape, make_norm: MakeNorm, *, start: float | None = None) -> None:
        super().__init__(shape, make_norm)
        self.start = start_at(shape.depth) if start is None else start

    def build_site(self, site: Site) -> None:
        super().build_site(site)
        site.gain = nn.Parameter(torch.full((site.width,), self.start))

    def join(self, x: Tensor, site: Site) -> Tensor:
        return x + site.gain * site.branch(site.norm(x))
