"""Matrices divided by their largest singular value, times a learned scalar."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normexp.addons import AddOn, Site, StackShape
from normexp.norms.norm import without_autocast


class SigmaLinear(nn.Linear):
    """x ↦ (g/σ(W)) W x + b, with σ(W) from one step of power iteration per forward; W x + b where W starts at 0.

    gain: g; None where W starts at 0.
    direction: the right singular vector as far as the iteration has found it; it moves in training only.
    """

    direction: Tensor

    def __init__(self, columns: int, rows: int, bias: bool) -> None:
        super().__init__(columns, rows, bias)
        self.gain: nn.Parameter | None = nn.Parameter(torch.ones(()))
        self.register_buffer("direction", torch.full((columns,), columns**-0.5))

    @torch.no_grad()
    def start(self, gain: float | None) -> None:
        """Find σ(W) of the initial matrix exactly. gain: where g starts; None: at σ(W)."""
        if self.weight.is_meta:  # it has no values
            return
        _, sizes, directions = torch.linalg.svd(self.weight, full_matrices=False)
        if not sizes[0] > 0:
            self.gain = None
            return
        self.direction.copy_(directions[0])
        self.gain.copy_(sizes[0] if gain is None else torch.tensor(gain))  # type: ignore[union-attr]

    def forward(self, x: Tensor) -> Tensor:
        if self.gain is None:
            return super().forward(x)
        with without_autocast(x):
            weight = self.gain / self.largest() * self.weight
        return F.linear(x, weight, self.bias)

    def largest(self) -> Tensor:
        """σ(W); its gradient takes the two singular vectors as constants."""
        with torch.no_grad():
            left = F.normalize(self.weight @ self.direction, dim=0)
            right = F.normalize(self.weight.T @ left, dim=0)
            if self.training:
                self.direction.copy_(right)
        return left @ self.weight @ right


class SigmaReparam(AddOn):
    """Every matrix of the sub-layers has a spectral norm g of its own: W ← (g/σ(W)) W, g learned.

    Embeddings, the head and matrices of other add-ons stay as they are, and so does a matrix that starts at 0. Where g
    starts at 1, factors that a variant or an init puts on initial matrices are without effect.
    gain: where g starts. null: at σ(W), so that the model starts as it would without, as in the authors' vision code.
    """

    equation = "W ← (g/σ(W)) W for every matrix of F, g = 1 at the start"
    paper = "zhai2023"
    verified = "authors' code: speech, where g starts at 1, and vision"

    def __init__(self, shape: StackShape, *, gain: float | None = 1.0) -> None:
        super().__init__(shape)
        self.gain = gain

    def build_site(self, site: Site) -> None:
        for role, matrix in list(site.sublayer.named_children()):
            if isinstance(matrix, nn.Linear):
                columns, rows, bias = matrix.in_features, matrix.out_features, matrix.bias is not None
                setattr(site.sublayer, role, SigmaLinear(columns, rows, bias))

    def on_initialised(self, sites: list[Site]) -> None:
        for site in sites:
            for matrix in site.sublayer.children():
                if isinstance(matrix, SigmaLinear):
                    matrix.start(self.gain)
