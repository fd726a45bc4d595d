"""Pre-LN that adds only the part of a branch that is orthogonal to the stream."""

import torch
from torch import Tensor

from normexp.variants import Site
from normexp.variants.pre_ln import PreLN


class OrthogonalUpdate(PreLN):
    """Pre-LN without the part of each branch that points along the stream, token by token."""

    equation = "x ← x + f − (⟨f, x⟩/⟨x, x⟩)x, f = F(LN(x)), LN at the end"
    paper = "oh2025"
    verified = "authors' code but for its ε of 1e-6; x-transformers, which projects whole sequences, on single tokens"

    def join(self, x: Tensor, site: Site) -> Tensor:
        f = site.branch(site.norm(x))
        size = torch.clamp(torch.sum(x * x, dim=-1, keepdim=True), min=1e-24)  # x may be 0
        return x + f - torch.sum(f * x, dim=-1, keepdim=True) / size * x
