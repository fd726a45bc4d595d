"""Variants with more than one path from layer to layer, straight from their equations."""

import math

import torch
from torch import Tensor

from tests.support.references.blocks import Weights, branch, layer_norm, own_norm


def b2t(x: Tensor, w: Weights) -> Tensor:
    """Takase et al. 2022: Post-LN, and the layer's input added once more before the layer's last norm."""
    for layer in range(1, w.depth + 1):
        bottom = x
        for site in w.kinds[:-1]:
            x = layer_norm(x + branch(x, w, layer, site), w, layer, site)
        x = layer_norm(bottom + x + branch(x, w, layer, "feed_forward"), w, layer, "feed_forward")
    return x


def weighted_sum(outputs: list[Tensor], row: Tensor) -> Tensor:
    total = torch.zeros_like(outputs[0])
    for k, y in enumerate(outputs):
        total = total + row[k] * y
    return total


def dlcl_pre(x: Tensor, w: Weights) -> Tensor:
    """Wang et al. 2019, equation 6: x_{l+1} = Σ_k W_k^{l+1} LN(y_k); the embedding without a norm."""
    mix, outputs = w.own("mix"), [x]
    for layer in range(1, w.depth + 1):
        x = weighted_sum(outputs, mix[layer - 1])
        for site in w.kinds:
            x = x + branch(layer_norm(x, w, layer, site), w, layer, site)
        outputs.append(own_norm(x, w, f"norms.{layer - 1}"))
    return own_norm(weighted_sum(outputs, mix[w.depth]), w)


def dlcl_post(x: Tensor, w: Weights) -> Tensor:
    """The same for Post-LN: x_{l+1} = LN(Σ_k W_k^{l+1} y_k), the first without a norm."""
    mix, outputs = w.own("mix"), [x]
    x = mix[0, 0] * x
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            x = layer_norm(x + branch(x, w, layer, site), w, layer, site)
        outputs.append(x)
        x = own_norm(weighted_sum(outputs, mix[layer]), w, f"norms.{layer - 1}")
    return x


def resi_dual(x: Tensor, w: Weights) -> Tensor:
    """Xie et al. 2023: x^ln is Post-LN, x^d gathers the same branch outputs, y = x^ln + LN(x^d)."""
    scale = w.options["scale"]
    dual = scale * x
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            f = branch(x, w, layer, site)
            dual = dual + scale * f
            x = layer_norm(x + f, w, layer, site)
    return x + own_norm(dual, w)


def siamese_norm(x: Tensor, w: Weights) -> Tensor:
    """Li et al. 2026: the branch reads LN(LN(x) + LN(y)), x gets its output over √(2l), y the whole of it."""
    y = x
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            x = layer_norm(x, w, layer, site, "post_norm")
            z = layer_norm(x + layer_norm(y, w, layer, site, "pre_norm"), w, layer, site)
            z = branch(z, w, layer, site)
            x, y = x + z / math.sqrt(2 * layer), y + z
    return own_norm(own_norm(x, w, "post_norm") + own_norm(y, w, "pre_norm"), w)


def joined_streams(
    h: list[Tensor], a: list[Tensor], mix: list[list[Tensor]], b: list[Tensor], w: Weights, layer: int, site: str
) -> list[Tensor]:
    """New stream m is Σ_n mix[n][m] h_n + b_m F(LN(Σ_n a_n h_n)); a weight is a number, or one per token."""
    n = len(h)
    f = branch(layer_norm(sum(a[i] * h[i] for i in range(n)), w, layer, site), w, layer, site)
    return [sum(mix[i][m] * h[i] for i in range(n)) + b[m] * f for m in range(n)]


def streams_at_start(x: Tensor, w: Weights) -> list[Tensor]:
    """Copies of the input; after Alimaskina et al. 2026 each with learned scales of its entries."""
    return [scale * x for scale in w.own("stream_scales")] if w.options["distinct"] else [x] * w.options["streams"]


def static_hyper_connections(x: Tensor, w: Weights) -> Tensor:
    """Zhu et al. 2024, section 2.1: H copies the input n times, the rows of the last H are summed."""
    h = streams_at_start(x, w)
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            a, mix, b = (w.get(layer, site, name) for name in ("read", "mix", "write"))
            h = joined_streams(h, list(a), [list(row) for row in mix], list(b), w, layer, site)
    return own_norm(sum(h), w)


def hyper_connections(x: Tensor, w: Weights) -> Tensor:
    """Section 2.2: B = s_β tanh(H̄ W_β)ᵀ + B, A_m = s_α tanh(H̄ W_m) + A_m, A_r = s_α tanh(H̄ W_r) + A_r, H̄ = norm(H)."""
    n = w.options["streams"]
    h = streams_at_start(x, w)
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            get = lambda name, layer=layer, site=site: w.get(layer, site, name)  # noqa: E731
            normed = [layer_norm(y, w, layer, site, "stream_norm") for y in h]
            s_alpha, s_beta = get("read_scale"), get("write_scale")
            a, mix, b = [], [], []
            for i in range(n):
                a.append(s_alpha * torch.tanh((normed[i] @ get("read_of"))[..., None]) + get("read")[i])
                b.append(s_beta * torch.tanh((normed[i] @ get("write_of"))[..., None]) + get("write")[i])
                row = s_alpha * torch.tanh(normed[i] @ get("mix_of")) + get("mix")[i]
                mix.append([row[..., m, None] for m in range(n)])
            h = joined_streams(h, a, mix, b, w, layer, site)
    return own_norm(sum(h), w)


def doubly_stochastic(logits: Tensor, rounds: int) -> Tensor:
    """Xie et al. 2025, equation 9: M = exp(logits), then M ← T_r(T_c(M)), columns first."""
    m = logits.exp()
    for _ in range(rounds):
        m = m / m.sum(-2, keepdim=True)
        m = m / m.sum(-1, keepdim=True)
    return m


def mhc(x: Tensor, w: Weights) -> Tensor:
    """Xie et al. 2025, equations 3, 7 and 8: H_res x + H_postᵀ F(H_pre x), each from one flat norm of all streams."""
    return constrained(x, w, w.options["rounds"])


def constrained(x: Tensor, w: Weights, rounds: int, post: float = 2.0) -> Tensor:
    h = torch.stack(streams_at_start(x, w), dim=2)
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            flat = layer_norm(h.reshape(*h.shape[:2], -1), w, layer, site, "stream_norm")
            logits = {}
            for name in ("read", "mix", "write"):
                dynamic = (flat @ w.get(layer, site, f"{name}_of")).reshape(
                    *h.shape[:2], *w.get(layer, site, name).shape
                )
                logits[name] = w.get(layer, site, f"{name}_scale") * dynamic + w.get(layer, site, name)
            pre, out = 1 / (1 + (-logits["read"]).exp()), post / (1 + (-logits["write"]).exp())
            read = (pre[..., None] * h).sum(2)
            f = branch(layer_norm(read, w, layer, site), w, layer, site)
            h = doubly_stochastic(logits["mix"], rounds) @ h + out[..., None] * f[:, :, None]
    return own_norm(h.sum(2), w)


def b2t_after_the_last_norm(x: Tensor, w: Weights) -> Tensor:
    for layer in range(1, w.depth + 1):
        bottom = x
        for site in w.kinds:
            x = layer_norm(x + branch(x, w, layer, site), w, layer, site)
        x = bottom + x
    return x


def dlcl_pre_reading_the_row_above(x: Tensor, w: Weights) -> Tensor:
    """W's rows counted from the layer's output instead of its input."""
    mix, outputs = w.own("mix"), [x]
    for layer in range(1, w.depth + 1):
        x = weighted_sum(outputs, mix[layer])
        for site in w.kinds:
            x = x + branch(layer_norm(x, w, layer, site), w, layer, site)
        outputs.append(own_norm(x, w, f"norms.{layer - 1}"))
    return own_norm(weighted_sum(outputs, mix[w.depth]), w)


def dlcl_post_without_norm_of_the_mix(x: Tensor, w: Weights) -> Tensor:
    mix, outputs = w.own("mix"), [x]
    x = mix[0, 0] * x
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            x = layer_norm(x + branch(x, w, layer, site), w, layer, site)
        outputs.append(x)
        x = weighted_sum(outputs, mix[layer])
    return x


def resi_dual_without_the_embedding(x: Tensor, w: Weights) -> Tensor:
    """The un-normed stream started at zero."""
    dual = torch.zeros_like(x)
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            f = branch(x, w, layer, site)
            dual = dual + f
            x = layer_norm(x + f, w, layer, site)
    return x + own_norm(dual, w)


def siamese_norm_counting_sites(x: Tensor, w: Weights) -> Tensor:
    """√ of the number of the sub-layer: it agrees with √(2l) at the encoder's feed-forwards only."""
    y, index = x, 0
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            index += 1
            x = layer_norm(x, w, layer, site, "post_norm")
            z = layer_norm(x + layer_norm(y, w, layer, site, "pre_norm"), w, layer, site)
            z = branch(z, w, layer, site)
            x, y = x + z / math.sqrt(index), y + z
    return own_norm(own_norm(x, w, "post_norm") + own_norm(y, w, "pre_norm"), w)


def static_hyper_connections_transposed(x: Tensor, w: Weights) -> Tensor:
    """A H where the paper has AᵀH."""
    h = [x] * w.options["streams"]
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            a, mix, b = (w.get(layer, site, name) for name in ("read", "mix", "write"))
            h = joined_streams(h, list(a), [list(row) for row in mix.T], list(b), w, layer, site)
    return own_norm(sum(h), w)


def hyper_connections_without_the_dynamic_part(x: Tensor, w: Weights) -> Tensor:
    return static_hyper_connections(x, w)


def mhc_writing_with_a_plain_sigmoid(x: Tensor, w: Weights) -> Tensor:
    return constrained(x, w, w.options["rounds"], post=1.0)


REFERENCES = {
    "b2t": b2t,
    "dlcl_pre": dlcl_pre,
    "dlcl_post": dlcl_post,
    "resi_dual": resi_dual,
    "siamese_norm": siamese_norm,
    "static_hyper_connections": static_hyper_connections,
    "hyper_connections": hyper_connections,
    "mhc": mhc,
}
MUTATIONS = {
    "b2t": b2t_after_the_last_norm,
    "dlcl_pre": dlcl_pre_reading_the_row_above,
    "dlcl_post": dlcl_post_without_norm_of_the_mix,
    "resi_dual": resi_dual_without_the_embedding,
    "siamese_norm": siamese_norm_counting_sites,
    "static_hyper_connections": static_hyper_connections_transposed,
    "hyper_connections": hyper_connections_without_the_dynamic_part,
    "mhc": mhc_writing_with_a_plain_sigmoid,
}
