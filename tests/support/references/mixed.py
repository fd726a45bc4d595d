"""Variants with norms of several kinds, straight from their equations."""

import math

from torch import Tensor

from tests.support.references.blocks import (
    Weights,
    attend,
    attention,
    branch,
    feed_forward,
    heads_of,
    layer_norm,
    linear,
    not_seen,
    own_norm,
)


def post_then_pre(x: Tensor, w: Weights, post_layers: int) -> Tensor:
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            if layer <= post_layers:
                x = layer_norm(x + branch(x, w, layer, site), w, layer, site)
            else:
                x = x + branch(layer_norm(x, w, layer, site), w, layer, site)
    return own_norm(x, w, "upper.final_norm")


def mix_ln(x: Tensor, w: Weights) -> Tensor:
    """Li et al. 2024, section 3: Post-LN in the first ⌊αL⌋ layers, Pre-LN in the others."""
    return post_then_pre(x, w, math.floor(w.options["fraction"] * w.depth))


def scaled_norms(x: Tensor, w: Weights, shift: int = 0) -> Tensor:
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            x = x + branch(layer_norm(x, w, layer, site) / math.sqrt(layer + shift), w, layer, site)
    return own_norm(x, w)


def layer_norm_scaling(x: Tensor, w: Weights) -> Tensor:
    """Sun et al. 2025: h^l = LayerNorm(h^l) / √l before both sub-layers of layer l."""
    return scaled_norms(x, w)


def qkv_normed_attention(x: Tensor, w: Weights, layer: int, site: str, normed: str = "query key value") -> Tensor:
    """Zhuo et al. 2025: softmax(Norm(Q) Norm(K)ᵀ/√d) Norm(V), per head."""
    source = w.memory if site.startswith("cross") else x
    parts = []
    for name, y in (("query", x), ("key", source), ("value", source)):
        part = heads_of(linear(y, w, layer, site, name), w.heads)
        parts.append(layer_norm(part, w, layer, site, f"sublayer.inside.{name}") if name in normed else part)
    return linear(attend(*parts, not_seen(w, site, x.shape[1])), w, layer, site, "out")


def hybrid(x: Tensor, w: Weights, pre_norm_layers: int, normed: str = "query key value") -> Tensor:
    for layer in range(1, w.depth + 1):
        for site in w.kinds[:-1]:
            read = layer_norm(x, w, layer, site) if layer <= pre_norm_layers else x
            x = x + qkv_normed_attention(read, w, layer, site, normed)
        z = layer_norm(x, w, layer, "feed_forward")
        x = (x if layer <= pre_norm_layers else z) + feed_forward(z, w, layer)
    return own_norm(x, w)


def hybrid_norm(x: Tensor, w: Weights) -> Tensor:
    """Y = MHA_QKV(X) + X, X = FFN(Norm(Y)) + Norm(Y)."""
    return hybrid(x, w, 0)


def hybrid_norm_star(x: Tensor, w: Weights) -> Tensor:
    """The first block Pre-Norm."""
    return hybrid(x, w, 1)


def norm_former(x: Tensor, w: Weights, gains: bool = True) -> Tensor:
    """Shleifer et al. 2021: x + LN(HeadScaleMHA(LN(x))), then x + W₂ LN(σ(W₁ LN(x)))."""
    for layer in range(1, w.depth + 1):
        normed = layer_norm(x, w, layer, "attention")
        q, k, v = (heads_of(linear(normed, w, layer, "attention", n), w.heads) for n in ("query", "key", "value"))
        heads = heads_of(attend(q, k, v, not_seen(w, "attention", x.shape[1])), w.heads)
        if gains:
            heads = heads * w.get(layer, "attention", "sublayer.inside.heads.gain").reshape(1, w.heads, 1, 1)
        y = linear(heads.transpose(1, 2).flatten(2), w, layer, "attention", "out")
        x = x + layer_norm(y, w, layer, "attention", "sublayer.inside.output")
        if "cross_attention" in w.kinds:
            x = x + attention(layer_norm(x, w, layer, "cross_attention"), w, layer, "cross_attention")
        hidden = linear(layer_norm(x, w, layer, "feed_forward"), w, layer, "feed_forward", "fc1").clamp(min=0)
        hidden = layer_norm(hidden, w, layer, "feed_forward", "sublayer.inside.before_fc2")
        skip = w.get(layer, "feed_forward", "skip.gain") * x if w.options["residual_gain"] else x
        x = skip + linear(hidden, w, layer, "feed_forward", "fc2")
    return own_norm(x, w)


def sub_ln(x: Tensor, w: Weights, before_the_activation: bool = False) -> Tensor:
    """Wang et al. 2022 (Magneto): LN at the input of a sub-layer and before its output projection."""
    for layer in range(1, w.depth + 1):
        normed = layer_norm(x, w, layer, "attention")
        q, k, v = (heads_of(linear(normed, w, layer, "attention", n), w.heads) for n in ("query", "key", "value"))
        y = attend(q, k, v, not_seen(w, "attention", x.shape[1]))
        y = layer_norm(y, w, layer, "attention", "sublayer.inside.before_out")
        x = x + linear(y, w, layer, "attention", "out")
        if "cross_attention" in w.kinds:
            x = x + attention(layer_norm(x, w, layer, "cross_attention"), w, layer, "cross_attention")
        hidden = linear(layer_norm(x, w, layer, "feed_forward"), w, layer, "feed_forward", "fc1")
        if before_the_activation:
            hidden = layer_norm(hidden, w, layer, "feed_forward", "sublayer.inside.before_fc2").clamp(min=0)
        else:
            hidden = layer_norm(hidden.clamp(min=0), w, layer, "feed_forward", "sublayer.inside.before_fc2")
        x = x + linear(hidden, w, layer, "feed_forward", "fc2")
    return own_norm(x, w)


def mix_ln_counting_from_zero(x: Tensor, w: Weights) -> Tensor:
    """One Post-LN layer too many: layer ≤ ⌊αL⌋ with layers from 0."""
    return post_then_pre(x, w, math.floor(w.options["fraction"] * w.depth) + 1)


def layer_norm_scaling_shifted(x: Tensor, w: Weights) -> Tensor:
    return scaled_norms(x, w, shift=1)


def hybrid_norm_without_norm_on_values(x: Tensor, w: Weights) -> Tensor:
    return hybrid(x, w, 0, normed="query key")


def hybrid_norm_star_with_a_plain_first_layer(x: Tensor, w: Weights) -> Tensor:
    """A first layer that is Pre-Norm, but drops the norms on query, key and value."""
    first = True
    for layer in range(1, w.depth + 1):
        for site in w.kinds[:-1]:
            x = x + (
                attention(layer_norm(x, w, layer, site), w, layer, site)
                if first
                else qkv_normed_attention(x, w, layer, site)
            )
        z = layer_norm(x, w, layer, "feed_forward")
        x = (x if first else z) + feed_forward(z, w, layer)
        first = False
    return own_norm(x, w)


def norm_former_without_head_gains(x: Tensor, w: Weights) -> Tensor:
    return norm_former(x, w, gains=False)


def sub_ln_before_the_activation(x: Tensor, w: Weights) -> Tensor:
    return sub_ln(x, w, before_the_activation=True)


REFERENCES = {
    "mix_ln": mix_ln,
    "layer_norm_scaling": layer_norm_scaling,
    "hybrid_norm": hybrid_norm,
    "hybrid_norm_star": hybrid_norm_star,
    "norm_former": norm_former,
    "sub_ln": sub_ln,
}
MUTATIONS = {
    "mix_ln": mix_ln_counting_from_zero,
    "layer_norm_scaling": layer_norm_scaling_shifted,
    "hybrid_norm": hybrid_norm_without_norm_on_values,
    "hybrid_norm_star": hybrid_norm_star_with_a_plain_first_layer,
    "norm_former": norm_former_without_head_gains,
    "sub_ln": sub_ln_before_the_activation,
}
