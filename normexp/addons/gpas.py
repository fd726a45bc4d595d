"""A gate that shrinks the stream but not the gradient through it."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normexp.addons import AddOn, Site, StackShape


class GPAS(AddOn):
    """Gradient-preserving activation scaling: after every sub-layer the stream is scaled, its gradient is not.

    sg stops the gradient. Each layer has one gate g, which all its sub-layers share, as in the authors' code; it starts
    at 0, where nothing is scaled. Where a norm follows the sum, as in Post-LN and DeepNorm, the authors scale only the
    skip of the next sub-layer; here its branch reads the scaled stream too. Not included: the clipping of the gate's
    gradient in the authors' largest runs.
    """

    equation = "y ← y − SiLU(g) sg(y), one g per layer, g = 0 at the start"
    paper = "chen2025"
    verified = "authors' code under Pre-LN; under other variants it is our choice"

    def __init__(self, shape: StackShape) -> None:
        super().__init__(shape)
        self.gates = nn.Parameter(torch.zeros(shape.depth))

    def after_join(self, x: Tensor, site: Site) -> Tensor:
        return x - F.silu(self.gates[site.layer - 1]) * torch.detach(x)
