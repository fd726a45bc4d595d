"""No norms: branches that start at 0 under weights scaled by depth, with scalar shifts and multipliers."""

from typing import Any

import torch
from torch import Tensor, nn

from normexp.variants import Site, Variant


class Shift(nn.Module):
    """x + b, one scalar b = 0 at the start."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias


class Multiplier(nn.Module):
    """a · x, one scalar a = 1 at the start."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * x


class Fixup(Variant):
    """x ← x + a F(x + b), F = 0 at the start; a shift at the end   Zhang et al. 2019 (Fixup)

    With B residual branches in the whole model (2N + 3M) and m matrices in a branch, all but the last are scaled by
    B^(−1/(2m−2)) and the last starts at 0: fc1 by B^(−1/2), query, key and value by B^(−1/6), fc2 and out by 0. Scalar
    shifts stand before attention, fc1, the activation and fc2, a multiplier behind each branch; the encoder ends with
    both, the decoder with a shift, as in the authors' code (Fixup, transformer_zero.py). Its matrices have no biases;
    ours keep theirs, which start at 0 under every init but torch_default.
    An output matrix of its own (model.tied=false) starts at 0 as in that code, a classifier as in the paper's residual
    networks; all else then waits one step for its gradient. A tied one cannot. That code draws q, k and v as one
    matrix, and leaves B = 12 at cross-attention whatever the depth; neither is taken over.
    """

    uses_norm = False
    needs_feed_forward = True

    def __init__(self, *shape_and_norm: Any) -> None:
        super().__init__(*shape_and_norm)
        encoder, decoder = self.shape.encoder_depth, self.shape.decoder_depth
        self.branches = 2 * encoder + (3 if encoder else 2) * decoder
        last = [Multiplier()] if self.shape.stack == "encoder" else []
        self.end = nn.Sequential(Shift(), *last)

    def build_site(self, site: Site) -> None:
        pass  # all that it owns at a site stands inside the branch

    def branch_modules(self, site: Site) -> dict[str, nn.Module]:
        shifts = ("input", "hidden", "before_fc2") if site.kind == "feed_forward" else ("input",)
        return {**{slot: Shift() for slot in shifts}, "output": Multiplier()}

    def init_scale(self, site: Site | None, role: str) -> float:
        power = {"query": -1 / 6, "key": -1 / 6, "value": -1 / 6, "fc1": -1 / 2, "embedding": 0}
        return self.branches ** power[role] if role in power else 0.0

    def join(self, x: Tensor, site: Site) -> Tensor:
        return x + site.branch(x)

    def finish_stream(self, stream: Tensor) -> Tensor:
        return self.end(stream)
