"""Gated and norm-free variants, straight from their equations."""

from torch import Tensor

from tests.support.references.blocks import Weights, attend, branch, heads_of, layer_norm, linear, not_seen, own_norm


def re_zero(x: Tensor, w: Weights) -> Tensor:
    """Bachlechner et al. 2020, equation 1: x + α_i F(x); one α for all sub-layers of layer i (their rztx.py)."""
    for layer in range(1, w.depth + 1):
        alpha = w.get(layer, "attention", "alpha")
        for site in w.kinds:
            x = x + alpha * branch(x, w, layer, site)
    return x


def re_zero_of_the_layer_below(x: Tensor, w: Weights) -> Tensor:
    for layer in range(1, w.depth + 1):
        alpha = w.get(max(layer - 1, 1), "attention", "alpha")
        for site in w.kinds:
            x = x + alpha * branch(x, w, layer, site)
    return x


def skip_init(x: Tensor, w: Weights) -> Tensor:
    """De & Smith 2020: a scalar at the end of every residual branch."""
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            x = x + w.get(layer, site, "alpha") * branch(x, w, layer, site)
    return x


def skip_init_on_the_skip(x: Tensor, w: Weights) -> Tensor:
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            x = w.get(layer, site, "alpha") * x + branch(x, w, layer, site)
    return x


def layer_scale(x: Tensor, w: Weights) -> Tensor:
    """Touvron et al. 2021: x + diag(λ) F(LN(x)), a LayerNorm after the last layer."""
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            x = x + w.get(layer, site, "gain") * branch(layer_norm(x, w, layer, site), w, layer, site)
    return own_norm(x, w)


def layer_scale_inside(x: Tensor, w: Weights) -> Tensor:
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            x = x + branch(w.get(layer, site, "gain") * layer_norm(x, w, layer, site), w, layer, site)
    return own_norm(x, w)


def fixup_attention(x: Tensor, w: Weights, layer: int, site: str) -> Tensor:
    """A shift on what comes from below, not on the memory; four matrices; a multiplier."""
    y = x + w.get(layer, site, "sublayer.inside.input.bias")
    source = y if site == "attention" else w.memory
    assert source is not None
    q = heads_of(linear(y, w, layer, site, "query"), w.heads)
    k = heads_of(linear(source, w, layer, site, "key"), w.heads)
    v = heads_of(linear(source, w, layer, site, "value"), w.heads)
    out = linear(attend(q, k, v, not_seen(w, site, x.shape[1])), w, layer, site, "out")
    return w.get(layer, site, "sublayer.inside.output.scale") * out


def fixup_feed_forward(x: Tensor, w: Weights, layer: int) -> Tensor:
    """A shift before each matrix and before the activation; a multiplier."""

    def shift(slot: str) -> Tensor:
        return w.get(layer, "feed_forward", f"sublayer.inside.{slot}.bias")

    hidden = linear(x + shift("input"), w, layer, "feed_forward", "fc1")
    hidden = (hidden + shift("hidden")).clamp(min=0)
    out = linear(hidden + shift("before_fc2"), w, layer, "feed_forward", "fc2")
    return w.get(layer, "feed_forward", "sublayer.inside.output.scale") * out


def fixup(x: Tensor, w: Weights) -> Tensor:
    """Zhang et al. 2019 (Fixup), as in their transformer_zero.py."""
    for layer in range(1, w.depth + 1):
        x = x + fixup_attention(x, w, layer, "attention")
        if "cross_attention" in w.kinds:
            x = x + fixup_attention(x, w, layer, "cross_attention")
        x = x + fixup_feed_forward(x, w, layer)
    x = x + w.own("end.0.bias")
    return w.own("end.1.scale") * x if w.stack == "encoder" else x


def fixup_without_its_end(x: Tensor, w: Weights) -> Tensor:
    for layer in range(1, w.depth + 1):
        x = x + fixup_attention(x, w, layer, "attention")
        if "cross_attention" in w.kinds:
            x = x + fixup_attention(x, w, layer, "cross_attention")
        x = x + fixup_feed_forward(x, w, layer)
    return x


def t_fixup(x: Tensor, w: Weights) -> Tensor:
    """Huang et al. 2020: the sums of the Transformer without its LayerNorms."""
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            x = x + branch(x, w, layer, site)
    return x


def t_fixup_in_parallel(x: Tensor, w: Weights) -> Tensor:
    for layer in range(1, w.depth + 1):
        x = x + sum(branch(x, w, layer, site) for site in w.kinds)
    return x


REFERENCES = {
    "re_zero": re_zero,
    "skip_init": skip_init,
    "layer_scale": layer_scale,
    "fixup": fixup,
    "t_fixup": t_fixup,
}
MUTATIONS = {
    "re_zero": re_zero_of_the_layer_below,
    "skip_init": skip_init_on_the_skip,
    "layer_scale": layer_scale_inside,
    "fixup": fixup_without_its_end,
    "t_fixup": t_fixup_in_parallel,
}
