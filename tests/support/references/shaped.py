"""Attention that starts as the identity, straight from its equations."""

import math

import torch
from torch import Tensor

from tests.support.references.blocks import Weights, branch, heads_of, layer_norm, linear, not_seen, own_norm


def shaped_attention(x: Tensor, w: Weights, layer: int, centred: bool = True) -> Tensor:
    """(αI + βP − γC) V as one matrix over the tokens of each head; V = x but for the first layer's s x + r x W."""
    site, tokens = "attention", x.shape[1]
    q, k = (heads_of(linear(x, w, layer, site, name), w.heads) for name in ("query", "key"))
    values = x
    if layer == 1:
        s, r, matrix = (w.get(layer, site, f"sublayer.value.{name}") for name in ("s", "r", "weight"))
        values = s * x + r * (x @ matrix)
    hidden = not_seen(w, site, tokens)
    seen = torch.ones(1, 1, tokens, tokens, dtype=torch.bool) if hidden is None else ~hidden
    scores = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).masked_fill(~seen, -math.inf)
    uniform = seen / seen.sum(-1, keepdim=True)
    alpha, beta, gamma = (w.get(layer, site, f"sublayer.inside.heads.{name}") for name in ("alpha", "beta", "gamma"))
    mixing = alpha * torch.eye(tokens) + beta * scores.softmax(-1) - gamma * uniform * centred
    return (mixing @ heads_of(values, w.heads)).transpose(1, 2).flatten(2)


def skipless(x: Tensor, w: Weights, centred: bool = True) -> Tensor:
    """He & Hofmann 2023: no skip around attention, one with gains around the feed-forward."""
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            read = layer_norm(x, w, layer, site)
            if site == "attention":
                x = w.get(layer, site, "a") * shaped_attention(read, w, layer, centred)
            elif site == "cross_attention":
                x = x + branch(read, w, layer, site)
            else:
                x = w.get(layer, site, "s") * x + w.get(layer, site, "b") * branch(read, w, layer, site)
    return own_norm(x, w)


def skipless_without_centring(x: Tensor, w: Weights) -> Tensor:
    """αI + βP alone, of the shaped attention before it was centred."""
    return skipless(x, w, centred=False)


REFERENCES = {"skipless": skipless}
MUTATIONS = {"skipless": skipless_without_centring}
