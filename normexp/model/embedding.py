"""Embeddings of tokens and of their positions."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def sinusoids(length: int, width: int) -> Tensor:
    """Sine in the first half of the columns, cosine in the second, wavelengths 2π … 10,000·2π.   token, width

    Vaswani et al. 2017, section 3.5, which alternates sines and cosines; the order of the columns does not matter.
    """
    rates = torch.exp(-math.log(10_000.0) * torch.arange(0, width, 2) / width)
    angles = torch.arange(length)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)[:, :width]


class WordVectors(nn.Embedding):
    """One learned vector per word."""

    @property
    def vectors(self) -> Tensor:
        """The vectors as the model uses them.   word, width"""
        return self.weight

    def forward(self, tokens: Tensor) -> Tensor:
        return F.embedding(tokens, self.vectors)


class FixNorm(WordVectors):
    """w / ‖w‖: only the direction of a word's vector is learned (Nguyen & Chiang 2018, Nguyen & Salazar 2019).

    The vectors start as all word vectors here, with norms near 1. The authors' code draws them from U(−0.01, 0.01),
    where Adam turns them faster.
    """

    @property
    def vectors(self) -> Tensor:
        return F.normalize(self.weight, dim=-1)


class Embedding(nn.Module):
    """√width · word vector + position, then dropout.   batch, token → batch, token, width

    positions: sinusoidal (fixed) or learned; with another name, no position is added here. Word and learned position
    vectors start as N(0, 1/width).
    fix_norm: word vectors are used with norm 1.
    Raises ValueError for a text longer than max_length.
    """

    def __init__(
        self, vocabulary: int, width: int, positions: str, max_length: int, dropout: float, fix_norm: bool = False
    ) -> None:
        super().__init__()
        self.words = (FixNorm if fix_norm else WordVectors)(vocabulary, width)
        self.scale = math.sqrt(width)
        self.max_length = max_length
        if positions == "learned":
            self.positions: Tensor | None = nn.Parameter(torch.empty(max_length, width))
        elif positions != "sinusoidal":
            self.positions = None
        else:
            self.register_buffer("positions", sinusoids(max_length, width), persistent=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        if tokens.shape[1] > self.max_length:
            raise ValueError(
                f"model.max_length must be at least {tokens.shape[1]}, the tokens of a text; got {self.max_length}"
            )
        x = self.scale * self.words(tokens)
        return self.dropout(x if self.positions is None else x + self.positions[: tokens.shape[1]])
