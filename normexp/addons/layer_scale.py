"""A small learned gain per channel on every branch."""

import torch
from torch import Tensor, nn

from normexp.addons import AddOn, Site, StackShape
from normexp.variants.layer_scale import start_at


class LayerScale(AddOn):
    """A learned gain g per channel on the output of every branch; under pre_ln it is variant=layer_scale.

    start: see variant=layer_scale, whose default by depth is the one here.
    """

    equation = "f ← g ⊙ f, g small at the start"
    paper = "touvron2021"
    verified = "authors' code, x-transformers, under Pre-LN; under other variants it is our choice"

    def __init__(self, shape: StackShape, *, start: float | None = None) -> None:
        super().__init__(shape)
        self.start = start_at(shape.depth) if start is None else start

    def build_site(self, site: Site) -> None:
        site.branch_gain = nn.Parameter(torch.full((site.width,), self.start))

    def after_branch(self, f: Tensor, site: Site) -> Tensor:
        return site.branch_gain * f
