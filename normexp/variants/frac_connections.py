"""Parts of one stream with learned weights for reading, mixing and writing, in place of several streams."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from normexp.config.limits import Limit
from normexp.errors import ConfigError
from normexp.norms.norm import as_weights
from normexp.variants import MakeNorm, Site, StackShape
from normexp.variants.hyper_connections import mixed
from normexp.variants.pre_ln import PreLN


class FracConnections(PreLN):
    """Hyper-connections between m equal parts of each token's vector, so that the stream is no wider than usual.

    H holds the parts as rows (batch, token, part, width/m). Every part of what a branch reads is a mix of all of them,
    and every part of its output has a weight. Y and A start as the identity, b at 1, W at 0 and s at 0.01, one s for Y
    and A and one for b; so it equals pre_ln at the start.
    parts: m. Raises ConfigError where it does not divide model.width.
    """

    equation = "H ← AᵀH + b ⊙ F(LN(YᵀH)), Y, A, b = static + s tanh(LN(H) W), H the parts of x, LN at the end"
    paper = "zhu2025_frac"
    verified = "summaries; hyper-connections writes with a matrix in place of b and starts otherwise"
    limits: ClassVar[dict[str, Limit]] = {"parts": Limit(ge=1)}

    def __init__(self, shape: StackShape, make_norm: MakeNorm, *, parts: int = 4) -> None:
        super().__init__(shape, make_norm)
        if shape.width % parts:
            raise ConfigError(f"variant.parts must divide model.width = {shape.width}; got {parts}")
        self.parts = parts

    def build_site(self, site: Site) -> None:
        super().build_site(site)
        m, part = self.parts, site.width // self.parts
        site.part_norm = as_weights(self.make_norm(part))
        site.read, site.mix = (nn.Parameter(torch.eye(m)) for _ in range(2))  # Y, A
        site.write = nn.Parameter(torch.ones(m))  # b
        site.read_of, site.mix_of = (nn.Parameter(torch.zeros(part, m)) for _ in range(2))
        site.write_of = nn.Parameter(torch.zeros(part))
        site.read_scale, site.write_scale = (nn.Parameter(torch.tensor(0.01)) for _ in range(2))

    def split(self, x: Tensor) -> Tensor:
        return torch.unflatten(x, -1, (self.parts, -1))

    def join(self, x: Tensor, site: Site) -> Tensor:
        h = self.split(x)
        normed = site.part_norm(h)
        y = site.read_scale * torch.tanh(torch.matmul(normed, site.read_of)) + site.read
        a = site.read_scale * torch.tanh(torch.matmul(normed, site.mix_of)) + site.mix
        b = site.write_scale * torch.tanh(torch.matmul(normed, site.write_of)) + site.write
        f = self.split(site.branch(site.norm(torch.flatten(mixed(y, h), -2))))
        return torch.flatten(mixed(a, h) + torch.unsqueeze(b, -1) * f, -2)
