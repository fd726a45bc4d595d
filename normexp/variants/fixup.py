"""No norms: branches that start at 0 with weights scaled by depth, and scalar shifts and multipliers."""

import torch
from torch import Tensor, nn

from normexp.variants import MakeNorm, Site, StackShape, Variant


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
    """A plain residual sum without norms, whose branches start at 0 and have scalar shifts and multipliers.

    With B residual branches in the whole model (2N + 3M) and m matrices in a branch, all but the last matrix are scaled
    by B^(−1/(2m−2)), and the last starts at 0: fc1 by B^(−1/2); query, key and value by B^(−1/6); fc2 and out by 0. A
    gated feed-forward has three matrices, so its fc1 and gate are scaled by B^(−1/4).
    There is a scalar shift before attention, fc1, the activation and fc2, and a multiplier after each branch. The
    encoder ends with both, the decoder with a shift, as in the authors' code (Fixup, transformer_zero.py). Its matrices
    have no biases; ours keep theirs, which start at 0 under every init but torch_default.
    An output matrix that is not tied (model.tied=false) starts at 0 as in that code, a classifier as in the paper's
    residual networks; every other parameter then gets its first gradient one step later. A tied one cannot start at 0.
    That code draws q, k and v as one matrix, and leaves B = 12 at cross-attention at any depth; we do neither.
    """

    equation = "x ← x + a F(x + b), F = 0 at the start; a shift at the end"
    paper = "zhang2019_fixup"
    verified = "authors' code"
    uses_norm = False
    needs_feed_forward = True

    def __init__(self, shape: StackShape, make_norm: MakeNorm) -> None:
        super().__init__(shape, make_norm)
        encoder, decoder = shape.encoder_depth, shape.decoder_depth
        self.branches = 2 * encoder + (3 if encoder else 2) * decoder
        last = [Multiplier()] if shape.stack == "encoder" else []
        self.end = nn.Sequential(Shift(), *last)

    def build_site(self, site: Site) -> None:
        """Nothing outside the branch."""

    def branch_modules(self, site: Site) -> dict[str, nn.Module]:
        shifts = ("input", "hidden", "before_fc2") if site.kind == "feed_forward" else ("input",)
        return {**{slot: Shift() for slot in shifts}, "output": Multiplier()}

    def init_scale(self, site: Site | None, role: str) -> float:
        gated = site is not None and getattr(site.sublayer, "gate", None) is not None
        power = {"query": -1 / 6, "key": -1 / 6, "value": -1 / 6, "gate": -1 / 4, "embedding": 0}
        power["fc1"] = power["gate"] if gated else -1 / 2
        return self.branches ** power[role] if role in power else 0.0

    def join(self, x: Tensor, site: Site) -> Tensor:
        return x + site.branch(x)

    def finish_stream(self, stream: Tensor) -> Tensor:
        return self.end(stream)
