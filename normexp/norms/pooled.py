"""Normalisers that pool their statistics over tokens; padding never enters them."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from normexp.norms.norm import Norm, at_least_float32

IN_TRAINING = "in training its statistics include later tokens; in evaluation it uses running ones, which include none"


def token_weights(x: Tensor, norm: Norm) -> Tensor:
    """1 at real tokens and 0 at padding, in x's shape but of width 1."""
    weight = x.new_ones(())
    if norm.mask is not None:
        shape = [1] * x.dim()
        shape[0], shape[norm.token_dim] = norm.mask.shape
        weight = norm.mask.reshape(shape).to(x.dtype)
    return weight.expand(*x.shape[:-1], 1)


def moments(x: Tensor, norm: Norm, dims: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, biased variance and count of the real tokens along `dims`, which are kept with size 1."""
    weight = token_weights(x, norm)
    count = weight.sum(dims, keepdim=True)
    mean = (weight * x).sum(dims, keepdim=True) / count
    return mean, (weight * (x - mean).square()).sum(dims, keepdim=True) / count, count


def _centred(norm: "BatchNorm | InstanceNorm", x: Tensor, dims: tuple[int, ...]) -> Callable[[Tensor], Tensor]:
    """summand ↦ g · (summand − its mean) / √(var + eps), var that of x along `dims`."""
    _, var, _ = moments(at_least_float32(x), norm, dims)
    scale = norm.weight / torch.sqrt(var + norm.eps)
    return lambda part: scale * (part - moments(part, norm, dims)[0])


class BatchNorm(Norm):
    """g · (x − mean) / √(var + eps) + b, per channel over all real tokens of a batch (Ioffe & Szegedy 2015).

    In evaluation mean and var are running averages. `momentum` is the weight of the newest batch in them at each
    training forward; the running variance is the unbiased one. Equals torch.nn.BatchNorm1d where nothing is padded.
    In a causal stack a token's statistics include later tokens during training; `normexp show` prints a warning.
    """

    symbol = "BN"
    paper = "ioffe2015"
    causality_note = IN_TRAINING
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, width: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        x = at_least_float32(x)
        mean, var = self.running_mean, self.running_var
        if self.training:
            mean, var, count = moments(x, self, tuple(range(x.dim() - 1)))
            with torch.no_grad():
                unbiased = var * count / (count - 1).clamp(min=1)
                self.running_mean.lerp_(mean.flatten(), self.momentum)
                self.running_var.lerp_(unbiased.flatten(), self.momentum)
        return self.weight * (x - mean) / torch.sqrt(var + self.eps) + self.bias

    def linearised_at(self, x: Tensor) -> Callable[[Tensor], Tensor]:
        """In training as for InstanceNorm, over the batch; in evaluation the running mean is an added constant."""
        if self.training:
            return _centred(self, x, tuple(range(x.dim() - 1)))
        return lambda part: self.weight * part / torch.sqrt(self.running_var + self.eps)


class InstanceNorm(Norm):
    """g · (x − mean) / √(var + eps) + b, per channel over the real tokens of one text (Ulyanov et al. 2016).

    The same in training and evaluation. In a causal stack every token would see the later ones, in evaluation too, so
    it is not allowed there. Equals torch.nn.InstanceNorm1d (affine) where nothing is padded.
    """

    symbol = "IN"
    paper = "ulyanov2016"
    causality_note = "its statistics include later tokens, in evaluation too"
    refuses_causal = True

    def __init__(self, width: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        x = at_least_float32(x)
        mean, var, _ = moments(x, self, (self.token_dim,))
        return self.weight * (x - mean) / torch.sqrt(var + self.eps) + self.bias

    def linearised_at(self, x: Tensor) -> Callable[[Tensor], Tensor]:
        """Every summand is centred by its own mean over the tokens, and scaled by the deviation of x."""
        return _centred(self, x, (self.token_dim,))
