"""Positions inside attention: rotated queries and keys, or a bias on the logits that falls with the distance."""

import math

import torch
from torch import Tensor

from normexp.norms.norm import at_least_float32

INSIDE = ("rotary", "alibi")  # of model.positions, what self-attention does and the embedding does not


def rotate(x: Tensor) -> Tensor:
    """Turn every pair of adjacent columns by position × 10,000^(−2i/head width), i the number of the pair.

    batch, head, token, head width (even). The product of a query and a key then depends on the distance of their
    tokens alone. RoFormer, Su et al. 2021, equation 34.
    """
    width = x.shape[-1]
    places = torch.arange(x.shape[-2], device=x.device, dtype=torch.float64)
    rates = 10_000.0 ** (-torch.arange(0, width, 2, device=x.device, dtype=torch.float64) / width)
    angles = places[:, None] * rates
    pairs = at_least_float32(x).unflatten(-1, (-1, 2))
    cos, sin = angles.cos().to(pairs.dtype), angles.sin().to(pairs.dtype)
    first, second = pairs.unbind(-1)
    turned = torch.stack([first * cos - second * sin, first * sin + second * cos], dim=-1)
    return turned.flatten(-2).to(x.dtype)


def slopes(heads: int) -> list[float]:
    """How steeply the bias of each head falls: 2^(−8/heads), its square, and so on (Press et al. 2022).

    For a number of heads that is no power of two: the slopes of the next smaller one, then every other slope of its
    double, as in the authors' code.
    """
    whole = 2 ** math.floor(math.log2(heads))
    first = [2 ** (-8 * head / whole) for head in range(1, whole + 1)]
    between = [2 ** (-4 * head / whole) for head in range(1, 2 * whole + 1, 2)]
    return first + between[: heads - whole]


def linear_bias(slopes: Tensor, tokens: int, like: Tensor) -> Tensor:
    """−slope × distance of query and key.   head, query, key

    slopes: of every head, on the device of `like`, which gives the type.
    In a causal stack this is ALiBi; an encoder has it on both sides alike, which the paper leaves open.
    """
    places = torch.arange(tokens, device=like.device)
    distance = (places[:, None] - places).abs()
    return -slopes.to(like.dtype)[:, None, None] * distance
