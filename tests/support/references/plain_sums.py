"""The classic variants besides Post-LN and Pre-LN: norms in other places, or none."""

from dataclasses import replace

import torch
from torch import Tensor

from tests.support.references.blocks import Weights, branch, layer_norm, own_norm


def rms(x: Tensor, gain: Tensor) -> Tensor:
    """RMSNorm with T5's eps."""
    return gain * x / torch.sqrt((x * x).mean(-1, keepdim=True) + 1e-6)


def without_biases(w: Weights) -> Weights:
    """The blocks add a bias: give them zeros, and make sure that the model itself has none."""
    matrices = {name: t for name, t in w.tensors.items() if ".sublayer." in name}
    assert all(name.endswith(".weight") for name in matrices)
    zeros = {name.removesuffix("weight") + "bias": t.new_zeros(len(t)) for name, t in matrices.items()}
    return replace(w, tensors=w.tensors | zeros)


def t5(x: Tensor, w: Weights) -> Tensor:
    """Raffel et al. 2020, section 2.1: a norm without bias, outside the residual path, and after the last layer."""
    w = without_biases(w)
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            x = x + branch(rms(x, w.get(layer, site, "norm.weight")), w, layer, site)
    return rms(x, w.own("final_norm.weight"))


def t5_with_a_mean(x: Tensor, w: Weights) -> Tensor:
    """LayerNorm without its bias in the place of RMSNorm."""
    w = without_biases(w)
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            centred = x - x.mean(-1, keepdim=True)
            x = x + branch(rms(centred, w.get(layer, site, "norm.weight")), w, layer, site)
    return rms(x, w.own("final_norm.weight"))


def res_post_norm(x: Tensor, w: Weights) -> Tensor:
    """OLMo 2: x + Norm(F(x)), and a norm after the last layer.

    Swin Transformer V2, figure 1, has the same sum; how its norms start is not seen here.
    """
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            x = x + layer_norm(branch(x, w, layer, site), w, layer, site)
    return own_norm(x, w)


def res_post_norm_open(x: Tensor, w: Weights) -> Tensor:
    """Tay's form under the name of the closed one."""
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            x = x + layer_norm(branch(x, w, layer, site), w, layer, site)
    return x


def res_post_norm_of_the_sum(x: Tensor, w: Weights) -> Tensor:
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            x = layer_norm(x + branch(x, w, layer, site), w, layer, site)
    return own_norm(x, w)


def sandwich(x: Tensor, w: Weights) -> Tensor:
    """Ding et al. 2021, figure 3: LayerNorm before and after every branch, both inside the residual connection."""
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            normed = layer_norm(x, w, layer, site, "norm_in")
            x = x + layer_norm(branch(normed, w, layer, site), w, layer, site, "norm_out")
    return own_norm(x, w)


def sandwich_norms_swapped(x: Tensor, w: Weights) -> Tensor:
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            normed = layer_norm(x, w, layer, site, "norm_out")
            x = x + layer_norm(branch(normed, w, layer, site), w, layer, site, "norm_in")
    return own_norm(x, w)


def peri_ln(x: Tensor, w: Weights) -> Tensor:
    """Kim et al. 2025: the sandwich, with the embedding normed as well."""
    return sandwich(own_norm(x, w, "embedding_norm"), w)


def no_norm(x: Tensor, w: Weights) -> Tensor:
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            x = x + branch(x, w, layer, site)
    return x


def no_norm_no_skip_around_feed_forward(x: Tensor, w: Weights) -> Tensor:
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            skip = 0 if site == "feed_forward" else x
            x = skip + branch(x, w, layer, site)
    return x


def first_norm_free(x: Tensor, w: Weights) -> Tensor:
    """Gorishniy et al. 2021, section 3.3: PreNorm, without the very first norm of the stack."""
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            first = layer == 1 and site == "attention"
            x = x + branch(x if first else layer_norm(x, w, layer, site), w, layer, site)
    return own_norm(x, w)


def first_layer_free(x: Tensor, w: Weights) -> Tensor:
    """No norm in the whole first layer."""
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            x = x + branch(x if layer == 1 else layer_norm(x, w, layer, site), w, layer, site)
    return own_norm(x, w)


def parallel(x: Tensor, w: Weights) -> Tensor:
    """Chowdhery et al. 2022, section 2: y = x + MLP(LayerNorm(x)) + Attention(LayerNorm(x)), the norm one and the same.

    Cross-attention, which PaLM lacks, is a further term.
    """
    for layer in range(1, w.depth + 1):
        normed = layer_norm(x, w, layer, "attention")
        x = x + torch.stack([branch(normed, w, layer, site) for site in w.kinds]).sum(0)
    return own_norm(x, w)


def parallel_in_turn(x: Tensor, w: Weights) -> Tensor:
    """The same norm, but each branch reads what the one before it left."""
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            x = x + branch(layer_norm(x, w, layer, "attention"), w, layer, site)
    return own_norm(x, w)


def macaron(x: Tensor, w: Weights) -> Tensor:
    """Lu et al. 2019, section 3: half of a feed-forward, attention, half of another feed-forward; norms first."""
    for layer in range(1, w.depth + 1):
        for site in ["feed_forward_in", *w.kinds]:
            f = branch(layer_norm(x, w, layer, site), w, layer, site)
            x = x + (0.5 * f if site in ("feed_forward_in", "feed_forward") else f)
    return own_norm(x, w)


def macaron_whole_second_step(x: Tensor, w: Weights) -> Tensor:
    for layer in range(1, w.depth + 1):
        for site in ["feed_forward_in", *w.kinds]:
            f = branch(layer_norm(x, w, layer, site), w, layer, site)
            x = x + (0.5 * f if site == "feed_forward_in" else f)
    return own_norm(x, w)


REFERENCES = {
    "t5": t5,
    "res_post_norm": res_post_norm,
    "swin_v2": res_post_norm,
    "sandwich": sandwich,
    "peri_ln": peri_ln,
    "no_norm": no_norm,
    "first_norm_free": first_norm_free,
    "parallel": parallel,
    "macaron": macaron,
}
MUTATIONS = {
    "t5": t5_with_a_mean,
    "res_post_norm": res_post_norm_open,
    "swin_v2": res_post_norm_of_the_sum,
    "sandwich": sandwich_norms_swapped,
    "peri_ln": sandwich,  # the embedding as it is
    "no_norm": no_norm_no_skip_around_feed_forward,
    "first_norm_free": first_layer_free,
    "parallel": parallel_in_turn,
    "macaron": macaron_whole_second_step,
}
