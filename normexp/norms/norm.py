"""What all normalisers share, and the one that does nothing."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


def at_least_float32(x: Tensor) -> Tensor:
    """x in float32 at least: statistics lose too much in half precision."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class Norm(nn.Module):
    """A normaliser over the last dimension of width `width`.

    `symbol` is how equations write it, for instance LN.
    `leak` says how a token learns of later ones where the stack is causal; `refuses_causal`: it must not stand there.
    """

    symbol = "N"
    causality_note = ""
    refuses_causal = False
    produces_weights = False  # True: what it makes are weights on the stream and no part of it (see weighing)
    # Where the tokens of x are, for norms that pool over them; attention says so for what it puts on split heads.
    token_dim = 1
    tokens = "mask"  # the context's mask of them; memory_mask for the keys and values of cross-attention
    context: Any = None

    def bind(self, context: Any) -> None:
        """Called once by the stack that it stands in: what each forward knows beside x is found in `context`."""
        self.context = context

    def linearised_at(self, x: Tensor) -> Callable[[Tensor], Tensor]:
        """The norm as the linear map that it is at x: what becomes of a summand of x when x is normed.

        Statistics are those of x, and constants added are left out, so that the parts of x add up to what it becomes.
        A norm that is no such map counts as the factor by which it changes a token's length.
        """
        before, after = (torch.linalg.vector_norm(each, dim=-1, keepdim=True) for each in (x, self(x)))
        return lambda part: part * after / before

    @property
    def mask(self) -> Tensor | None:
        """True at real tokens, None when nothing is padded or nobody said.   batch, token"""
        return None if self.context is None else getattr(self.context, self.tokens)


def as_weights(norm: Any) -> Any:
    """The norm, marked as one whose answers become weights on the stream, as in dynamic hyper-connections."""
    norm.produces_weights = True
    return norm


class NoNorm(Norm):
    """x: the variant's sums without its norms."""

    symbol = ""

    def __init__(self, width: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x
