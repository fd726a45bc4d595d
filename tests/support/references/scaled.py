"""Skips and branches with factors: every constant is computed here from its paper's formula."""

import math
from collections.abc import Callable

from torch import Tensor

from tests.support.references.blocks import Weights, branch, layer_norm, own_norm


def weighted_post_ln(x: Tensor, w: Weights, skip: float, weight: float = 1.0) -> Tensor:
    """LN(skip · x + weight · F(x)) at every site."""
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            x = layer_norm(skip * x + weight * branch(x, w, layer, site), w, layer, site)
    return x


def scaled_skip(x: Tensor, w: Weights) -> Tensor:
    """Liu et al. 2021, section 3: λ = 2."""
    return weighted_post_ln(x, w, 2.0)


def scaled_branch(x: Tensor, w: Weights) -> Tensor:
    return weighted_post_ln(x, w, 1.0, 2.0)


def deep_norm(x: Tensor, w: Weights) -> Tensor:
    """Wang et al. 2022, figure 2: N encoder and M decoder layers."""
    n, m = w.encoder_depth, w.decoder_depth
    if m == 0 or n == 0:
        return weighted_post_ln(x, w, (2 * (n or m)) ** (1 / 4))
    return weighted_post_ln(x, w, 0.81 * (n**4 * m) ** (1 / 16) if w.stack == "encoder" else (3 * m) ** (1 / 4))


def deep_norm_depths_swapped(x: Tensor, w: Weights) -> Tensor:
    n, m = w.encoder_depth, w.decoder_depth
    return weighted_post_ln(x, w, 0.81 * (m**4 * n) ** (1 / 16) if w.stack == "encoder" else (3 * n) ** (1 / 4))


def admin(x: Tensor, w: Weights) -> Tensor:
    """Liu et al. 2020, equation 2: x_i = LN(ω_i x_{i−1} + F(x_{i−1})), ω_i a vector."""
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            x = layer_norm(w.get(layer, site, "omega") * x + branch(x, w, layer, site), w, layer, site)
    return x


def admin_on_the_branch(x: Tensor, w: Weights) -> Tensor:
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            x = layer_norm(x + w.get(layer, site, "omega") * branch(x, w, layer, site), w, layer, site)
    return x


def sublayers(w: Weights) -> int:
    return w.depth * len(w.kinds)


def admin_constant(x: Tensor, w: Weights) -> Tensor:
    """Admin-torch's README, O(log n): ω² = (S + 1) / ln(S + 1) − 1."""
    s = sublayers(w)
    return weighted_post_ln(x, w, math.sqrt((s + 1) / math.log(s + 1) - 1))


def admin_constant_by_layers(x: Tensor, w: Weights) -> Tensor:
    """Layers counted where sub-layers are meant."""
    return weighted_post_ln(x, w, math.sqrt((w.depth + 1) / math.log(w.depth + 1) - 1))


def keel_first_layer(x: Tensor, w: Weights) -> Tensor:
    """x + A(LN x), then LN(x + F(LN x)) with no α at the other sub-layers."""
    x = x + branch(layer_norm(x, w, 1, "attention", "norm_in"), w, 1, "attention")
    for site in w.kinds[1:]:
        x = layer_norm(x + branch(layer_norm(x, w, 1, site, "norm_in"), w, 1, site), w, 1, site, "norm_out")
    return x


def keel(x: Tensor, w: Weights) -> Tensor:
    """Chen & Wei 2026, section 3.1 and figure 2: LN(αx + F(LN(x))), α = L, L all sub-layers; layer 1 without α."""
    x = keel_first_layer(x, w)
    for layer in range(2, w.depth + 1):
        for site in w.kinds:
            f = branch(layer_norm(x, w, layer, site, "norm_in"), w, layer, site)
            x = layer_norm(sublayers(w) * x + f, w, layer, site, "norm_out")
    return x


def keel_with_alpha_in_the_first_layer(x: Tensor, w: Weights) -> Tensor:
    x = x + branch(layer_norm(x, w, 1, "attention", "norm_in"), w, 1, "attention")
    for layer in range(1, w.depth + 1):
        for site in w.kinds if layer > 1 else w.kinds[1:]:
            f = branch(layer_norm(x, w, layer, site, "norm_in"), w, layer, site)
            x = layer_norm(sublayers(w) * x + f, w, layer, site, "norm_out")
    return x


def recursive_skip(x: Tensor, w: Weights) -> Tensor:
    """Liu et al. 2021, section 4, λ = 2: LN(x + LN(x + F(x)))."""
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            once = layer_norm(x + branch(x, w, layer, site), w, layer, site, "norms.0")
            x = layer_norm(x + once, w, layer, site, "norms.1")
    return x


def recursive_skip_norms_swapped(x: Tensor, w: Weights) -> Tensor:
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            once = layer_norm(x + branch(x, w, layer, site), w, layer, site, "norms.1")
            x = layer_norm(x + once, w, layer, site, "norms.0")
    return x


def branch_norm(x: Tensor, w: Weights) -> Tensor:
    """Liu et al. 2023 from memory: LN(x + αF(x)), α = min(1, t/T), here before the first step: t = 1."""
    return weighted_post_ln(x, w, 1.0, min(1.0, 1 / int(str(w.options["full_at"]))))


def branch_norm_on_the_skip(x: Tensor, w: Weights) -> Tensor:
    return weighted_post_ln(x, w, min(1.0, 1 / int(str(w.options["full_at"]))), 1.0)


def weighted_pre_ln(x: Tensor, w: Weights, beta_squared: float) -> Tensor:
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            f = branch(layer_norm(x, w, layer, site), w, layer, site)
            x = math.sqrt(1 - beta_squared) * x + math.sqrt(beta_squared) * f
    return own_norm(x, w)


def deep_scale(x: Tensor, w: Weights) -> Tensor:
    """Kedia et al. 2024 as the authors' code has it: β² = 1/N, λ² = 1 − 1/N, N layers."""
    return weighted_pre_ln(x, w, 1 / w.depth)


def deep_scale_by_sublayers(x: Tensor, w: Weights) -> Tensor:
    return weighted_pre_ln(x, w, 1 / sublayers(w))


Reference = Callable[[Tensor, Weights], Tensor]
REFERENCES: dict[str, Reference] = {
    "scaled_skip": scaled_skip,
    "deep_norm": deep_norm,
    "admin": admin,
    "admin_constant": admin_constant,
    "keel": keel,
    "recursive_skip": recursive_skip,
    "branch_norm": branch_norm,
    "deep_scale": deep_scale,
}
MUTATIONS: dict[str, Reference] = {
    "scaled_skip": scaled_branch,
    "deep_norm": deep_norm_depths_swapped,
    "admin": admin_on_the_branch,
    "admin_constant": admin_constant_by_layers,
    "keel": keel_with_alpha_in_the_first_layer,
    "recursive_skip": recursive_skip_norms_swapped,
    "branch_norm": branch_norm_on_the_skip,
    "deep_scale": deep_scale_by_sublayers,
}
