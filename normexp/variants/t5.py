"""Pre-LN as in T5: RMSNorm, and no bias anywhere in the stack."""

from torch import nn

from normexp.norms import RMSNorm
from normexp.variants import MakeNorm, Site, StackShape
from normexp.variants.pre_ln import PreLN


class T5(PreLN):
    """Pre-LN with RMSNorm and without biases.

    It brings its RMSNorm along, so setting a norm is an error. Not included from T5: relative position biases,
    attention logits without 1/√width and the initial weights that make up for it, and the factor on the tied head's
    input.
    eps: by default the one that the public checkpoints use.
    """

    equation = "x ← x + F(RMS(x)), RMS at the end, no biases"
    paper = "raffel2020"
    verified = "x-transformers; eps from the public checkpoints"
    uses_norm = False  # none but its RMSNorm

    def __init__(self, shape: StackShape, make_norm: MakeNorm, *, eps: float = 1e-6) -> None:
        super().__init__(shape, lambda width: RMSNorm(width, eps))

    def build_site(self, site: Site) -> None:
        site.norm = self.make_norm(site.width)
        for module in site.sublayer.modules():
            if isinstance(module, nn.Linear):
                module.register_parameter("bias", None)
