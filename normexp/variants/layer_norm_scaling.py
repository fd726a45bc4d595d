"""Pre-LN whose norms shrink with depth."""

import math

from torch import Tensor

from normexp.variants import Site
from normexp.variants.pre_ln import PreLN


class LayerNormScaling(PreLN):
    """Pre-LN with the output of each norm divided by the root of its layer.

    l is the layer in its own stack, from 1, the same for all its sub-layers. The last norm is not scaled. The authors
    advise against combining it with an init that shrinks output projections by 1/√(2L). The paper has decoders only;
    that cross-attention is scaled like the other sub-layers is our choice.
    """

    equation = "x ← x + F(LN(x)/√l), LN at the end"
    paper = "sun2025"
    verified = "authors' code; cross-attention is our choice"

    def join(self, x: Tensor, site: Site) -> Tensor:
        return x + site.branch(site.norm(x) / math.sqrt(site.layer))
