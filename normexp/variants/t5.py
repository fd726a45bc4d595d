"""Pre-LN as T5 has it: RMSNorm, and no bias anywhere in the stack."""

from typing import Any

from torch import nn

from normexp.norms import RMSNorm
from normexp.variants import Site
from normexp.variants.pre_ln import PreLN


class T5(PreLN):
    """x ← x + F(RMS(x)), RMS at the end, no biases   Raffel et al. 2020

    It brings its own norm, so setting one on the line is an error. Left out of T5: relative position biases, attention
    logits without 1/√width and the initial weights that make up for it, and the factor on the tied head's input.
    eps is what the public checkpoints use.
    """

    uses_norm = False  # none but its own

    def __init__(self, shape: Any, norm: Any, *, eps: float = 1e-6) -> None:
        super().__init__(shape, lambda width: RMSNorm(width, eps))

    def build_site(self, site: Site) -> None:
        site.norm = self.make_norm(site.width)
        for module in site.sublayer.modules():
            if isinstance(module, nn.Linear):
                module.register_parameter("bias", None)
