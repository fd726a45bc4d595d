"""Post-LN, Pre-LN and the controls, straight from their equations."""

from torch import Tensor

from tests.support.references.blocks import Weights, branch, layer_norm, own_norm


def post_ln(x: Tensor, w: Weights) -> Tensor:
    """Vaswani et al. 2017, section 3.1: LayerNorm(x + Sublayer(x))."""
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            x = layer_norm(x + branch(x, w, layer, site), w, layer, site)
    return x


def pre_ln(x: Tensor, w: Weights) -> Tensor:
    """Xiong et al. 2020, table 1, right: x + Sublayer(LayerNorm(x)), and a LayerNorm after the last layer."""
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            x = x + branch(layer_norm(x, w, layer, site), w, layer, site)
    return own_norm(x, w)


def no_residual(x: Tensor, w: Weights) -> Tensor:
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            x = layer_norm(branch(x, w, layer, site), w, layer, site)
    return x


def plain(x: Tensor, w: Weights) -> Tensor:
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            x = branch(x, w, layer, site)
    return x


def post_ln_with_a_final_norm(x: Tensor, w: Weights) -> Tensor:
    """The second norm in a row that torch.nn.Transformer puts after its last layer."""
    x = post_ln(x, w)
    return layer_norm(x, w, w.depth, "feed_forward")


def pre_ln_without_final_norm(x: Tensor, w: Weights) -> Tensor:
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            x = x + branch(layer_norm(x, w, layer, site), w, layer, site)
    return x


def no_residual_norm_first(x: Tensor, w: Weights) -> Tensor:
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            x = branch(layer_norm(x, w, layer, site), w, layer, site)
    return x


def plain_with_a_skip(x: Tensor, w: Weights) -> Tensor:
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            x = x + branch(x, w, layer, site)
    return x


REFERENCES = {"post_ln": post_ln, "pre_ln": pre_ln, "no_residual": no_residual, "plain": plain}
# What a slip of the pen would compute: the comparison must see each of them.
MUTATIONS = {
    "post_ln": post_ln_with_a_final_norm,
    "pre_ln": pre_ln_without_final_norm,
    "no_residual": no_residual_norm_first,
    "plain": plain_with_a_skip,
}
