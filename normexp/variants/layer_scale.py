"""Pre-LN with a small learned gain per channel on every branch."""

from typing import Any

import torch
from torch import Tensor, nn

from normexp.variants import Site
from normexp.variants.pre_ln import PreLN

STARTS = {18: 0.1, 24: 1e-5}  # up to so many layers
DEEPEST = 1e-6


class LayerScale(PreLN):
    """x ← x + g ⊙ F(LN(x)), LN at the end; g small at the start   Touvron et al. 2021 (CaiT)

    g starts at 0.1 in stacks of up to 18 layers, 1e-5 up to 24 and 1e-6 beyond, by the depth of its own stack; `start`
    sets another value. The authors' code (deit, cait_models.py) has 1e-5 at 24 layers and 1e-6 at 36 and 48, and 1e-4
    where nothing is said; 0.1 up to 18 is not checked against the paper.
    """

    def __init__(self, *shape_and_norm: Any, start: float | None = None) -> None:
        super().__init__(*shape_and_norm)
        by_depth = next((value for most, value in STARTS.items() if self.shape.depth <= most), DEEPEST)
        self.start = by_depth if start is None else start

    def build_site(self, site: Site) -> None:
        super().build_site(site)
        site.gain = nn.Parameter(torch.full((site.width,), self.start))

    def join(self, x: Tensor, site: Site) -> Tensor:
        return x + site.gain * site.branch(site.norm(x))
