"""Normalisers that treat every token separately."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normexp.norms.norm import Norm, at_least_float32


class LayerNorm(Norm):
    """g · (x − mean) / √(var + eps) + b, with g = 1 and b = 0 at the start (Ba et al. 2016)."""

    symbol = "LN"
    paper = "ba2016"

    def __init__(self, width: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)

    def linearised_at(self, x: Tensor) -> Callable[[Tensor], Tensor]:
        root = torch.sqrt(x.var(-1, correction=0, keepdim=True) + self.eps)
        return lambda part: self.weight * (part - part.mean(-1, keepdim=True)) / root


class RMSNorm(Norm):
    """g · x / √(mean(x²) + eps), with g = 1 at the start (Zhang & Sennrich 2019)."""

    symbol = "RMS"
    paper = "zhang2019_rms_norm"

    def __init__(self, width: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(at_least_float32(x), self.weight.shape, self.weight, self.eps)

    def linearised_at(self, x: Tensor) -> Callable[[Tensor], Tensor]:
        root = torch.sqrt(x.square().mean(-1, keepdim=True) + self.eps)
        return lambda part: self.weight * part / root


class ScaleNorm(Norm):
    """g · x / max(‖x‖, eps), with one scalar g = √width at the start (Nguyen & Salazar 2019).

    At the start it equals RMSNorm without eps. The authors combine it with model.fix_norm.
    """

    symbol = "SN"
    paper = "nguyen2019"

    def __init__(self, width: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.scale = nn.Parameter(torch.tensor(float(width)).sqrt())

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * x / torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp(min=self.eps)


class AdaNorm(Norm):
    """C (1 − k z) z with z = (x − mean) / (std + eps), no gradient through (1 − k z) (Xu et al. 2019).

    It has no parameters. As in the authors' code the standard deviation is the unbiased one and eps is added to it.
    C = 1 as the default is not checked against the paper; the authors' translation script has 2.
    """

    symbol = "AdaN"
    paper = "xu2019"

    def __init__(self, width: int, scale: float = 1.0, k: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.scale, self.k, self.eps = scale, k, eps

    def forward(self, x: Tensor) -> Tensor:
        x = at_least_float32(x)
        z = (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + self.eps)
        return self.scale * (1 - self.k * z.detach()) * z


class DyT(Norm):
    """g · tanh(a x) + b, with g = 1, b = 0 and one scalar a = 0.5 at the start (Zhu et al. 2025).

    It has no statistics, so it bounds a stream without fixing its norm. The paper tunes a by width for language models,
    larger at attention than elsewhere. Those values are not checked against the paper and not used here.
    """

    symbol = "DyT"
    paper = "zhu2025"

    def __init__(self, width: int, alpha: float = 0.5) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.tensor(float(alpha)))
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * torch.tanh(self.alpha * x) + self.bias
