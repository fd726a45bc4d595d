"""Post-LN whose branches are let in over the first steps of training."""

from typing import Any

import torch
from torch import Tensor

from normexp.variants import Site, Variant


class BranchNorm(Variant):
    """x ← LN(x + αF(x)), α = min(1, t/T) at step t   Liu et al. 2023

    full_at is T, the step from which it is Post-LN. A model that has not been trained stands at step 1. That α rises
    during training to Post-LN is read in the abstract and summaries; the straight line from 0 is from memory, not
    checked against the paper.
    """

    alpha: Tensor

    def __init__(self, *shape_and_norm: Any, full_at: int = 40) -> None:
        super().__init__(*shape_and_norm)
        self.full_at = full_at
        self.register_buffer("alpha", torch.ones(()))
        self.on_step_begin(1)

    def join(self, x: Tensor, site: Site) -> Tensor:
        return site.norm(x + self.alpha * site.branch(x))

    def on_step_begin(self, step: int) -> None:
        self.alpha.fill_(min(1.0, step / self.full_at))
