"""The base class of all normalisers, and the one that does nothing."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn


def at_least_float32(x: Tensor) -> Tensor:
    """x in float32 or better: statistics lose too much in half precision."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def without_autocast(x: Tensor) -> AbstractContextManager[Any]:
    """Computes inside in the types of the tensors, on the device of x, whatever training.amp says."""
    return nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False)


class Norm(nn.Module):
    """A normaliser over the last dimension of width `width`.

    symbol: its name in equations, for example LN. paper: keys of normexp.papers, "" for none.
    causality_note: how a token can depend on later ones in a causal stack; "" where it cannot.
    refuses_causal: not allowed in causal stacks. refuses_fp16: not allowed with training.amp=fp16.
    produces_weights: its output is weights on the stream and no part of the stream (see as_weights).
    """

    symbol = "N"
    paper: str | tuple[str, ...] = ""
    causality_note = ""
    refuses_causal = False
    refuses_fp16 = False
    produces_weights = False
    # For norms that pool over tokens; attention changes both for norms on split heads.
    token_dim = 1  # of x
    tokens = "mask"  # the context's mask of the tokens; memory_mask for the keys and values of cross-attention
    context: Any = None

    def bind(self, context: Any) -> None:
        """Called once by the stack that owns the norm; `context` holds what a forward pass knows besides x."""
        self.context = context

    def linearised_at(self, x: Tensor) -> Callable[[Tensor], Tensor]:
        """The norm as a linear map, its statistics fixed at those of x: summand of x → its share of the output.

        Called after a forward at x. Added constants are left out, so that the shares of all summands add up to the
        output. The default serves norms that are not linear even then: the factor by which the norm changes a token's
        length.
        """
        before, after = (torch.linalg.vector_norm(each, dim=-1, keepdim=True) for each in (x, self(x)))
        return lambda part: part * after / before

    @property
    def mask(self) -> Tensor | None:
        """True at real tokens; None when nothing is padded or there is no context.   batch, token"""
        return None if self.context is None else getattr(self.context, self.tokens)


def as_weights(norm: Any) -> Any:
    """The same norm, marked as one whose output becomes weights on the stream, as in dynamic hyper-connections."""
    norm.produces_weights = True
    return norm


class NoNorm(Norm):
    """x unchanged: the variant without its norms."""

    symbol = ""

    def __init__(self, width: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x
