"""Straight-line Transformer blocks over named weights, in plain torch: nothing here comes from normexp.

A reference is written from its paper as a function of one stack's weights, so that it can only agree with the package
when both say what the paper says.
"""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class Weights:
    """The weights of one stack by their full names, and the sizes that equations need."""

    tensors: dict[str, Tensor]
    stack: str  # encoder or decoder
    encoder_depth: int
    decoder_depth: int
    heads: int
    mask: Tensor | None = None  # batch, token: the stack's own input (encoder)
    memory: Tensor | None = None
    memory_mask: Tensor | None = None
    eps: float = 1e-5
    options: dict[str, object] = field(default_factory=dict)  # the variant's own

    @property
    def depth(self) -> int:
        return self.encoder_depth if self.stack == "encoder" else self.decoder_depth

    @property
    def kinds(self) -> list[str]:
        """The usual sub-layers of a layer."""
        cross = ["cross_attention"] if self.stack == "decoder" and self.encoder_depth else []
        return ["attention", *cross, "feed_forward"]

    def get(self, layer: int, site: str, name: str) -> Tensor:
        """A weight at a site; layers count from 1."""
        return self.tensors[f"{self.stack}.layers.{layer:02d}.{site}.{name}"]

    def own(self, name: str) -> Tensor:
        """A weight that the variant keeps for the whole stack."""
        return self.tensors[f"{self.stack}.variant.{name}"]


def linear(x: Tensor, w: Weights, layer: int, site: str, name: str) -> Tensor:
    weight, bias = (w.get(layer, site, f"sublayer.{name}.{part}") for part in ("weight", "bias"))
    return x @ weight.T + bias


def normalised(x: Tensor, gain: Tensor, bias: Tensor, eps: float) -> Tensor:
    """g (x − mean) / √(var + eps) + b, over the last dimension."""
    mean = x.mean(-1, keepdim=True)
    variance = ((x - mean) ** 2).mean(-1, keepdim=True)
    return gain * (x - mean) / torch.sqrt(variance + eps) + bias


def layer_norm(x: Tensor, w: Weights, layer: int, site: str, name: str = "norm") -> Tensor:
    """The norm called `name` at a site."""
    return normalised(x, w.get(layer, site, f"{name}.weight"), w.get(layer, site, f"{name}.bias"), w.eps)


def own_norm(x: Tensor, w: Weights, name: str = "final_norm") -> Tensor:
    """A norm of the variant's own."""
    return normalised(x, w.own(f"{name}.weight"), w.own(f"{name}.bias"), w.eps)


def heads_of(x: Tensor, count: int) -> Tensor:
    """batch, token, width → batch, head, token, head width"""
    return x.reshape(*x.shape[:2], count, -1).transpose(1, 2)


def attend(query: Tensor, key: Tensor, value: Tensor, hidden: Tensor | None) -> Tensor:
    """softmax(QKᵀ/√d) V over heads; `hidden` is True at keys that a query must not see.   batch, token, width"""
    scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
    if hidden is not None:
        scores = scores.masked_fill(hidden, -math.inf)
    return (scores.softmax(-1) @ value).transpose(1, 2).flatten(2)


def not_seen(w: Weights, site: str, tokens: int) -> Tensor | None:
    """What attention at this site must not see."""
    if site.startswith("cross"):
        return None if w.memory_mask is None else ~w.memory_mask[:, None, None, :]
    if w.stack == "decoder":
        return torch.ones(tokens, tokens, dtype=torch.bool).triu(1)
    return None if w.mask is None else ~w.mask[:, None, None, :]


def attention(x: Tensor, w: Weights, layer: int, site: str = "attention") -> Tensor:
    source = w.memory if site.startswith("cross") else x
    assert source is not None
    q, k, v = (
        heads_of(linear(y, w, layer, site, n), w.heads) for y, n in ((x, "query"), (source, "key"), (source, "value"))
    )
    return linear(attend(q, k, v, not_seen(w, site, x.shape[1])), w, layer, site, "out")


def feed_forward(x: Tensor, w: Weights, layer: int, site: str = "feed_forward") -> Tensor:
    return linear(linear(x, w, layer, site, "fc1").clamp(min=0), w, layer, site, "fc2")


def branch(x: Tensor, w: Weights, layer: int, site: str) -> Tensor:
    """F(x) at a site of a layer with the usual sub-layers."""
    return feed_forward(x, w, layer, site) if site.startswith("feed_forward") else attention(x, w, layer, site)
