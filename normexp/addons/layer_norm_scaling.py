"""What a branch reads, shrunk with depth."""

import math

from torch import Tensor

from normexp.addons import AddOn, Site


class LayerNormScaling(AddOn):
    """The input of every branch divided by the root of its layer; under pre_ln it is variant=layer_norm_scaling.

    l is the layer in its own stack, from 1. Where a variant has no norm before its branches, the stream itself is
    what is divided, which is our choice. ProRes's authors scale the norm's learned gain at the start instead.
    """

    equation = "F(x) ← F(x/√l)"
    paper = "sun2025"
    verified = "authors' code under Pre-LN; under other variants it is our choice"

    def before_branch(self, x: Tensor, site: Site) -> Tensor:
        return x / math.sqrt(site.layer)
