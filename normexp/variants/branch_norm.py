"""Post-LN whose branches fade in over the first steps of training."""

import torch
from torch import Tensor

from normexp.variants import MakeNorm, Site, StackShape, Variant


class BranchNorm(Variant):
    """Post-LN with a factor α on every branch that rises linearly to 1 during training.

    full_at: T, the step from which on it is Post-LN. An untrained model has the α of step 1.
    """

    equation = "x ← LN(x + αF(x)), α = min(1, t/T) at step t"
    paper = "liu2023"
    verified = "abstract and summaries; the linear ramp from 0 is from memory: no public code of it was found"
    alpha: Tensor

    def __init__(self, shape: StackShape, make_norm: MakeNorm, *, full_at: int = 40) -> None:
        super().__init__(shape, make_norm)
        self.full_at = full_at
        self.register_buffer("alpha", torch.ones(()))
        self.on_step_begin(1)

    def join(self, x: Tensor, site: Site) -> Tensor:
        return site.norm(x + self.alpha * site.branch(x))

    def on_step_begin(self, step: int) -> None:
        self.alpha.fill_(min(1.0, step / self.full_at))
