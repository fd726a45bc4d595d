"""Residual schemes of 2024 to 2026, from their equations."""

import itertools
import math

import torch
from torch import Tensor

from tests.support.references.blocks import (
    Weights,
    attend,
    branch,
    feed_forward,
    heads_of,
    layer_norm,
    linear,
    normalised,
    not_seen,
    own_norm,
)
from tests.support.references.extra_paths import streams_at_start


def sites_of(w: Weights) -> list[tuple[int, str]]:
    return [(layer, site) for layer in range(1, w.depth + 1) for site in w.kinds]


# -- attention residuals ----------------------------------------------------------------------------------------------


def depth_attention(sources: list[Tensor], query: Tensor, gain: Tensor, bias: Tensor, eps: float) -> Tensor:
    """Kimi Team 2026: Σ softmax_i(wᵀ Norm(v_i)) v_i."""
    scores = torch.stack([(normalised(v, gain, bias, eps) * query).sum(-1) for v in sources])
    shares = scores.exp() / scores.exp().sum(0)
    return sum(share[..., None] * v for share, v in zip(shares, sources, strict=True))


def attention_residuals_in_blocks(x: Tensor, w: Weights, size: int, cumulative: bool = False) -> Tensor:
    """size: outputs that are summed in one source. cumulative: sources are running sums from the bottom."""
    sources, running = [x], x
    for number, (layer, site) in enumerate(sites_of(w)):
        names = ("source_query", "source_norm.weight", "source_norm.bias")
        read = depth_attention(sources, *(w.get(layer, site, name) for name in names), w.eps) if number else x
        f = branch(layer_norm(read, w, layer, site), w, layer, site)
        running = running + f
        if number % size == 0:
            sources.append(running if cumulative else f)
        else:
            sources[-1] = sources[-1] + f
    own = [w.own(name) for name in ("source_query", "source_norm.weight", "source_norm.bias")]
    return own_norm(depth_attention(sources, *own, w.eps), w)


def attention_residuals(x: Tensor, w: Weights) -> Tensor:
    return attention_residuals_in_blocks(x, w, 1)


def attention_residuals_over_running_sums(x: Tensor, w: Weights) -> Tensor:
    """The mistake of a public port: sources are the stream after every sub-layer."""
    return attention_residuals_in_blocks(x, w, 1, cumulative=True)


def block_attention_residuals(x: Tensor, w: Weights) -> Tensor:
    return attention_residuals_in_blocks(x, w, math.ceil(len(sites_of(w)) / int(str(w.options["blocks"]))))


def block_attention_residuals_one_larger(x: Tensor, w: Weights) -> Tensor:
    return attention_residuals_in_blocks(x, w, math.ceil(len(sites_of(w)) / int(str(w.options["blocks"]))) + 1)


# -- weighted sums over depth -----------------------------------------------------------------------------------------


def x0_lambdas(x: Tensor, w: Weights) -> Tensor:
    """nanochat: x ← λ_l x + μ_l x₀ before block l, then x + A(norm x), x + MLP(norm x)."""
    return lambdas(x, w, [float(each) for each in w.own("of_stream")])


def lambdas(x: Tensor, w: Weights, of_stream: list[float]) -> Tensor:
    start = x
    for layer in range(1, w.depth + 1):
        x = of_stream[layer - 1] * x + w.own("of_embedding")[layer - 1] * start
        for site in w.kinds:
            x = x + branch(layer_norm(x, w, layer, site), w, layer, site)
    return own_norm(x, w)


def x0_lambdas_without_lambda(x: Tensor, w: Weights) -> Tensor:
    return lambdas(x, w, [1.0] * w.depth)


def dense_former(x: Tensor, w: Weights, of_averages: bool = False) -> Tensor:
    """Pagliardini et al. 2024: DWA_i = Σ_{j≤i} α_ij X_j over the embedding and what the blocks gave."""
    kept, mix = [x], w.own("mix")
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            x = x + branch(layer_norm(x, w, layer, site), w, layer, site)
        kept.append(x)
        x = sum(mix[layer - 1, j] * kept[j] for j in range(layer + 1))
        if of_averages:
            kept[-1] = x
    return own_norm(x, w)


def dense_former_over_averages(x: Tensor, w: Weights) -> Tensor:
    return dense_former(x, w, of_averages=True)


# -- other sums -------------------------------------------------------------------------------------------------------


def span_norm(x: Tensor, w: Weights) -> Tensor:
    """Wang et al. 2026 as a port has equations 5 to 8: the feed-forward's skip starts below the attention."""
    for layer in range(1, w.depth + 1):
        h = x
        for site in w.kinds[:-1]:
            first = layer == 1 and site == "attention"
            read = layer_norm(h, w, layer, site, "first_norm") if first else h
            h = layer_norm(h + branch(read, w, layer, site), w, layer, site)
        x = layer_norm(x + feed_forward(h, w, layer), w, layer, "feed_forward")
    return x


def span_norm_from_the_attention(x: Tensor, w: Weights) -> Tensor:
    """Post-LN but for the first norm."""
    for layer, site in sites_of(w):
        read = layer_norm(x, w, layer, site, "first_norm") if (layer, site) == (1, "attention") else x
        x = layer_norm(x + branch(read, w, layer, site), w, layer, site)
    return x


def orthogonal_update(x: Tensor, w: Weights) -> Tensor:
    """Oh et al. 2025: only the component of f orthogonal to x is added."""
    for layer, site in sites_of(w):
        f = branch(layer_norm(x, w, layer, site), w, layer, site)
        unit = x / x.norm(dim=-1, keepdim=True)
        x = x + f - (f * unit).sum(-1, keepdim=True) * unit
    return own_norm(x, w)


def orthogonal_update_to_the_read(x: Tensor, w: Weights) -> Tensor:
    """Orthogonal to what the branch read instead of to the stream."""
    for layer, site in sites_of(w):
        read = layer_norm(x, w, layer, site)
        f = branch(read, w, layer, site)
        unit = read / read.norm(dim=-1, keepdim=True)
        x = x + f - (f * unit).sum(-1, keepdim=True) * unit
    return own_norm(x, w)


def sigmoid(x: Tensor) -> Tensor:
    return 1 / (1 + (-x).exp())


def deep_delta(x: Tensor, w: Weights, largest: float = 2.0) -> Tensor:
    """Zhang et al. 2026, d_v = 1: x + β (v − kᵀx) k."""
    for layer, site in sites_of(w):
        read = layer_norm(x, w, layer, site)
        f = branch(read, w, layer, site)
        k = f / (f.square().sum(-1, keepdim=True) + 1e-10).sqrt()
        beta = largest * sigmoid(read @ w.get(layer, site, "beta_of") + w.get(layer, site, "beta_bias"))
        v = 4 * sigmoid(x @ w.get(layer, site, "value_of") + w.get(layer, site, "value_bias"))
        x = x + (beta * (v - (k * x).sum(-1)))[..., None] * k
    return own_norm(x, w)


def deep_delta_without_reflection(x: Tensor, w: Weights) -> Tensor:
    return deep_delta(x, w, largest=1.0)


# -- values of the first layer ----------------------------------------------------------------------------------------


def value_residual(x: Tensor, w: Weights, of_the_layer_below: bool = False) -> Tensor:
    """Zhou et al. 2024: from layer 2 on, half the values of layer 1 and half the own."""
    kept: dict[str, Tensor] = {}
    for layer, site in sites_of(w):
        read = layer_norm(x, w, layer, site)
        if site == "feed_forward":
            x = x + feed_forward(read, w, layer)
            continue
        source = w.memory if site.startswith("cross") else read
        assert source is not None
        own = linear(source, w, layer, site, "value")
        value = own if layer == 1 else (kept[site] + own) / 2
        if layer == 1 or of_the_layer_below:
            kept[site] = own
        q, k, v = (
            heads_of(each, w.heads)
            for each in (linear(read, w, layer, site, "query"), linear(source, w, layer, site, "key"), value)
        )
        x = x + linear(attend(q, k, v, not_seen(w, site, x.shape[1])), w, layer, site, "out")
    return own_norm(x, w)


def value_residual_of_the_layer_below(x: Tensor, w: Weights) -> Tensor:
    return value_residual(x, w, of_the_layer_below=True)


# -- on a sphere ------------------------------------------------------------------------------------------------------


def unit(x: Tensor) -> Tensor:
    return x / x.norm(dim=-1, keepdim=True)


def ngpt(x: Tensor, w: Weights, gains: int = 2) -> Tensor:
    """Loshchilov et al. 2024, a plain feed-forward: h ← N(h + |α| (N(F(h)) − h)), q and k normed by head, times s."""
    width, root = x.shape[-1], math.sqrt(x.shape[-1])
    x = unit(x)
    for layer, site in sites_of(w):
        matrix = lambda name, layer=layer, site=site: w.get(layer, site, f"sublayer.{name}.weight").T  # noqa: E731
        if site == "feed_forward":
            hidden = root * w.get(layer, site, "sublayer.inside.hidden.gain") * (x @ matrix("fc1"))
            f = hidden.clamp(min=0) @ matrix("fc2")
        else:
            source = w.memory if site.startswith("cross") else x
            assert source is not None
            q, k, v = (
                heads_of(y @ matrix(name), w.heads) for y, name in ((x, "query"), (source, "key"), (source, "value"))
            )
            s = w.get(layer, site, "sublayer.inside.query.gain") * root
            scores = s**gains * unit(q) @ unit(k).transpose(-1, -2) * math.sqrt(width / w.heads)
            if (hidden_keys := not_seen(w, site, x.shape[1])) is not None:
                scores = scores.masked_fill(hidden_keys, -math.inf)
            f = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2) @ matrix("out")
        alpha = (w.get(layer, site, "step") * 0.05 * root).abs()
        x = unit(x + alpha * (unit(f) - x))
    name = f"{w.stack}.variant.output_scale"
    return w.tensors[name] * root * x if name in w.tensors else x


def ngpt_with_one_gain(x: Tensor, w: Weights) -> Tensor:
    """s on the queries only, in place of on both."""
    return ngpt(x, w, gains=1)


# -- parts of one stream ----------------------------------------------------------------------------------------------


def frac_connections(x: Tensor, w: Weights, unmixed: bool = False) -> Tensor:
    """Zhu et al. 2025: H ← AᵀH + Bᵀ T(YᵀH) over the m parts of each vector, the weights of each from its own norm."""
    m = int(str(w.options["parts"]))
    for layer, site in sites_of(w):
        get = lambda name, layer=layer, site=site: w.get(layer, site, name)  # noqa: E731
        h = list(x.chunk(m, dim=-1))
        normed = [layer_norm(part, w, layer, site, "part_norm") for part in h]
        y, a = (
            [get("read_scale") * torch.tanh(n @ get(f"{name}_of")) + get(name)[i] for i, n in enumerate(normed)]
            for name in ("read", "mix")
        )
        b = [get("write_scale") * torch.tanh(n @ get("write_of")) + get("write")[i] for i, n in enumerate(normed)]

        def weighted(by: list[Tensor], h: list[Tensor] = h) -> list[Tensor]:
            return [sum(by[i][..., j, None] * h[i] for i in range(m)) for j in range(m)]

        read = torch.cat(weighted(y), dim=-1)
        f = branch(layer_norm(read, w, layer, site), w, layer, site).chunk(m, dim=-1)
        kept = h if unmixed else weighted(a)
        x = torch.cat([kept[j] + b[j][..., None] * f[j] for j in range(m)], dim=-1)
    return own_norm(x, w)


def frac_connections_without_mixing(x: Tensor, w: Weights) -> Tensor:
    return frac_connections(x, w, unmixed=True)


# -- mean and rest ----------------------------------------------------------------------------------------------------


def token_mean(x: Tensor, w: Weights) -> Tensor:
    """Over the real tokens of each text; in a decoder over each token and those before it."""
    if w.stack == "decoder":
        return torch.stack([x[:, : t + 1].mean(1) for t in range(x.shape[1])], dim=1)
    assert w.mask is not None
    return torch.stack([text[real].mean(0) for text, real in zip(x, w.mask, strict=True)])[:, None]


def mv_split(x: Tensor, w: Weights, exchanged: bool = True) -> Tensor:
    """Lu 2026: RMSNorm(R + β V(T) + α (M(T) − M(R))), the run's norm for RMSNorm."""
    x = own_norm(x, w, "first_norm")
    for layer, site in sites_of(w):
        f = branch(x, w, layer, site)
        mean = token_mean(f, w)
        difference = mean - token_mean(x, w) if exchanged else mean
        x = x + w.get(layer, site, "of_rest") * (f - mean) + w.get(layer, site, "of_mean") * difference
        x = layer_norm(x, w, layer, site)
    return x


def mv_split_adding_the_mean(x: Tensor, w: Weights) -> Tensor:
    """The branch's mean is added, and that of the stream stays."""
    return mv_split(x, w, exchanged=False)


# -- streams with constrained mixing ----------------------------------------------------------------------------------


def several_streams(x: Tensor, w: Weights, mixing: str) -> Tensor:
    """mHC's reading and writing, with a mixing matrix made from permutations, from none, or transposed."""
    n = int(str(w.options["streams"]))
    h = torch.stack(streams_at_start(x, w), dim=2)
    for layer, site in sites_of(w):
        flat = layer_norm(h.reshape(*h.shape[:2], -1), w, layer, site, "stream_norm")

        def logits(name: str, flat: Tensor = flat, layer: int = layer, site: str = site) -> Tensor:
            scale, of, static = (w.get(layer, site, f"{name}{part}") for part in ("_scale", "_of", ""))
            return scale * (flat @ of) + static

        read = (sigmoid(logits("read"))[..., None] * h).sum(2)
        f = branch(layer_norm(read, w, layer, site), w, layer, site)
        if mixing != "none":
            c = logits("mix").softmax(-1)
            orders = list(itertools.permutations(range(n)))
            inverse = [[order.index(i) for i in range(n)] for order in orders]
            used = inverse if mixing == "inverse" else orders
            h = sum(c[..., k, None, None] * h[:, :, list(order)] for k, order in enumerate(used))
        h = h + (2 * sigmoid(logits("write")))[..., None] * f[:, :, None]
    return own_norm(h.sum(2), w)


def mhc_lite(x: Tensor, w: Weights) -> Tensor:
    """Yang & Gao 2026: H_res = Σ_k c_k P_k, (P h)_i = h_{order(i)}."""
    return several_streams(x, w, "permutations")


def mhc_lite_transposed(x: Tensor, w: Weights) -> Tensor:
    return several_streams(x, w, "inverse")


def identity_hyper_connections(x: Tensor, w: Weights) -> Tensor:
    return several_streams(x, w, "none")


def identity_hyper_connections_reading_the_mean(x: Tensor, w: Weights) -> Tensor:
    """All streams are averaged instead of read by weight."""
    n = int(str(w.options["streams"]))
    h = torch.stack([x] * n, dim=2)
    for layer, site in sites_of(w):
        flat = layer_norm(h.reshape(*h.shape[:2], -1), w, layer, site, "stream_norm")
        f = branch(layer_norm(h.mean(2), w, layer, site), w, layer, site)
        scale, of, static = (w.get(layer, site, name) for name in ("write_scale", "write_of", "write"))
        h = h + (2 * sigmoid(scale * (flat @ of) + static))[..., None] * f[:, :, None]
    return own_norm(h.sum(2), w)


REFERENCES = {
    "attention_residuals": attention_residuals,
    "block_attention_residuals": block_attention_residuals,
    "x0_lambdas": x0_lambdas,
    "dense_former": dense_former,
    "span_norm": span_norm,
    "orthogonal_update": orthogonal_update,
    "deep_delta": deep_delta,
    "value_residual": value_residual,
    "mhc_lite": mhc_lite,
    "identity_hyper_connections": identity_hyper_connections,
    "ngpt": ngpt,
    "mv_split": mv_split,
    "frac_connections": frac_connections,
}
MUTATIONS = {
    "attention_residuals": attention_residuals_over_running_sums,
    "block_attention_residuals": block_attention_residuals_one_larger,
    "x0_lambdas": x0_lambdas_without_lambda,
    "dense_former": dense_former_over_averages,
    "span_norm": span_norm_from_the_attention,
    "orthogonal_update": orthogonal_update_to_the_read,
    "deep_delta": deep_delta_without_reflection,
    "value_residual": value_residual_of_the_layer_below,
    "mhc_lite": mhc_lite_transposed,
    "identity_hyper_connections": identity_hyper_connections_reading_the_mean,
    "ngpt": ngpt_with_one_gain,
    "mv_split": mv_split_adding_the_mean,
    "frac_connections": frac_connections_without_mixing,
}
