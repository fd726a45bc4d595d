"""All-attention: persistent keys and values instead of a feed-forward, by an independent reference."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from normexp.config.schema import TASKS
from normexp.sweep.plan import relative_cost
from tests.support.configs import small_config
from tests.support.models import built, node
from tests.support.references.blocks import Weights, attend, heads_of, layer_norm, linear, not_seen
from tests.support.runs import tiny_config

PERSISTENT = 6
SIZES = {"encoder_depth": 3, "decoder_depth": 4, "feed_forward": 0, "persistent": PERSISTENT}
Read = Callable[[Tensor, Weights, int], Tensor]


# -- the reference ----------------------------------------------------------------------------------------------------


def parts(x: Tensor, w: Weights, layer: int, site: str = "attention") -> tuple[Tensor, ...]:
    """Query, key and value of the tokens, by head; normed where the config says so."""
    memory = w.memory if site.startswith("cross") else x
    found = []
    for name, source in (("query", x), ("key", memory), ("value", memory)):
        part = heads_of(linear(source, w, layer, site, name), w.heads)
        normed = f"{w.stack}.layers.{layer:02d}.{site}.sublayer.inside.{name}.weight" in w.tensors
        found.append(layer_norm(part, w, layer, site, f"sublayer.inside.{name}") if normed else part)
    return tuple(found)


def persistent(w: Weights, layer: int) -> tuple[Tensor, Tensor]:
    """The parameters as they are, not yet scaled.   head, persistent, head width"""
    key, value = (w.get(layer, "attention", f"sublayer.persistent_{name}") for name in ("key", "value"))
    return key, value


def masked(scores: Tensor, w: Weights) -> Tensor:
    hidden = not_seen(w, "attention", scores.shape[-2])
    return scores if hidden is None else scores.masked_fill(hidden, -math.inf)


def out(heads: Tensor, w: Weights, layer: int) -> Tensor:
    return linear(heads.transpose(1, 2).flatten(2), w, layer, "attention", "out")


def cross_attention(x: Tensor, w: Weights, layer: int) -> Tensor:
    """Without persistent vectors."""
    query, key, value = parts(x, w, layer, "cross_attention")
    joined = attend(query, key, value, not_seen(w, "cross_attention", x.shape[1]))
    return linear(joined, w, layer, "cross_attention", "out")


def all_attention(x: Tensor, w: Weights, layer: int, key_scale: float = 1.0, value_scale: float = 1.0) -> Tensor:
    """Sukhbaatar et al. 2019: one softmax over the keys of the context and the persistent ones."""
    query, key, value = parts(x, w, layer)
    width = query.shape[-1]
    own_key, own_value = persistent(w, layer)
    own_key, own_value = key_scale * math.sqrt(width) * own_key, value_scale * math.sqrt(PERSISTENT) * own_value
    scores = torch.cat([masked(query @ key.mT / math.sqrt(width), w), query @ own_key.mT / math.sqrt(width)], dim=-1)
    to_tokens, to_persistent = scores.softmax(-1).split([key.shape[2], PERSISTENT], dim=-1)
    return out(to_tokens @ value + to_persistent @ own_value, w, layer)


def post_ln(x: Tensor, w: Weights, read: Read = all_attention) -> Tensor:
    """LayerNorm(x + Sublayer(x)), without a feed-forward sub-layer."""
    for layer in range(1, w.depth + 1):
        x = layer_norm(x + read(x, w, layer), w, layer, "attention")
        if "cross_attention" in w.kinds:
            x = layer_norm(x + cross_attention(x, w, layer), w, layer, "cross_attention")
    return x


def separate_softmaxes(x: Tensor, w: Weights, layer: int) -> Tensor:
    query, key, value = parts(x, w, layer)
    own_key, own_value = persistent(w, layer)
    to_tokens = masked(query @ key.mT / math.sqrt(query.shape[-1]), w).softmax(-1)
    to_persistent = (query @ own_key.mT).softmax(-1)
    return out(to_tokens @ value + to_persistent @ own_value * math.sqrt(PERSISTENT), w, layer)


def unscaled_keys(x: Tensor, w: Weights, layer: int) -> Tensor:
    return all_attention(x, w, layer, key_scale=1 / math.sqrt(4))


def unscaled_values(x: Tensor, w: Weights, layer: int) -> Tensor:
    return all_attention(x, w, layer, value_scale=1 / math.sqrt(PERSISTENT))


def heads_alike(x: Tensor, w: Weights, layer: int) -> Tensor:
    """The persistent vectors of the first head in every head."""
    shared = dict(w.tensors)
    for name in ("key", "value"):
        full = f"{w.stack}.layers.{layer:02d}.attention.sublayer.persistent_{name}"
        shared[full] = shared[full][:1].expand_as(shared[full])
    return all_attention(x, Weights(**{**vars(w), "tensors": shared}), layer)


def outputs(task: str, read: Read, **changes: object) -> list[tuple[Tensor, Tensor]]:
    """(ours, the reference's) for every stack of the task's model."""
    torch.manual_seed(0)
    config = small_config(task={"name": task}, model={**SIZES, **changes})
    model = built(config).double().eval()
    for parameter in model.parameters():  # no bias and no gain may stay where leaving it out would not show
        parameter.data += 0.2 * torch.randn_like(parameter)
    x, y = torch.randn(3, 7, 16, dtype=torch.float64), torch.randn(3, 5, 16, dtype=torch.float64)
    mask = torch.ones(3, 7, dtype=torch.bool)
    mask[1, 4:] = mask[2, 2:] = False
    tensors = {name: parameter.detach() for name, parameter in model.named_parameters()}
    depths = {"encoder_depth": 3 * hasattr(model, "encoder"), "decoder_depth": 4}
    with torch.no_grad():
        if task == "language_modelling":
            return [(model.decoder(y), post_ln(y, Weights(tensors, "decoder", **depths, heads=4), read))]
        memory = model.encoder(x, mask)
        theirs = post_ln(x, Weights(tensors, "encoder", **depths, heads=4, mask=mask), read)
        pairs = [(memory[mask], theirs[mask])]
        if task == "translation":
            weights = Weights(tensors, "decoder", **depths, heads=4, memory=memory, memory_mask=mask)
            pairs.append((model.decoder(y, memory=memory, memory_mask=mask), post_ln(y, weights, read)))
    return pairs


def close(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a, b, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("attention_norm", ["none", "qkv"])
@pytest.mark.parametrize("task", TASKS)
def test_the_forward_is_the_papers(task, attention_norm):
    """Padded encoder, causal decoder with cross-attention, each on its own; norms leave the persistent ones alone."""
    for ours, theirs in outputs(task, all_attention, attention_norm=attention_norm):
        assert close(ours, theirs)


@pytest.mark.parametrize("slip", [separate_softmaxes, unscaled_keys, unscaled_values, heads_alike])
def test_a_slip_is_seen(slip):
    assert not any(close(ours, theirs) for ours, theirs in outputs("translation", slip))


# -- where it starts, how large it is ---------------------------------------------------------------------------------

VECTORS = ("persistent_key", "persistent_value")


def own(model) -> dict[str, Tensor]:
    return {name: p for name, p in model.named_parameters() if name.endswith(VECTORS)}


def test_vectors_start_as_distinct_standard_normals():
    """After the factors with which attention uses them; no head starts like another."""
    found = own(built(small_config(model={**SIZES, "persistent": 300}), vocabulary=20))
    assert len(found) == 2 * (3 + 4)  # self-attention's alone
    for name, parameter in found.items():
        assert parameter.shape == (4, 300, 4)
        used = parameter * math.sqrt(4 if name.endswith("key") else 300)
        assert used.mean().item() == pytest.approx(0, abs=0.05)
        assert used.std().item() == pytest.approx(1, rel=0.05)
    heads = [head for parameter in found.values() for head in parameter]
    assert not any(torch.equal(a, b) for i, a in enumerate(heads) for b in heads[:i])


def test_vectors_start_alike_under_every_init_and_variant():
    """And they change nothing else: every other weight starts as without them."""
    sizes = {**SIZES, "feed_forward": 32}
    deep_norm = {"name": "deep_norm", "_target_": "normexp.variants.deep_norm.DeepNorm"}
    torch_default = {"name": "torch_default", "_target_": "normexp.model.initialisers.TorchDefault"}
    plain = built(small_config(model={**sizes, "persistent": 0}), vocabulary=20)
    with_them, scaled, drawn = (
        built(small_config(model=sizes, **changes), vocabulary=20)
        for changes in ({}, {"variant": deep_norm}, {"init": torch_default})
    )
    for other in (scaled, drawn):
        assert all(torch.equal(p, own(other)[name]) for name, p in own(with_them).items())
    by_name = dict(with_them.named_parameters())
    assert all(torch.equal(p, by_name[name]) for name, p in plain.named_parameters())
    assert not torch.equal(plain.encoder.sites[0].sublayer.value.weight, scaled.encoder.sites[0].sublayer.value.weight)


@pytest.mark.parametrize("task", TASKS)
def test_as_many_vectors_as_hidden_units_keep_the_size(task):
    """Up to the biases of the feed-forward."""
    plain, without = (
        built(small_config(task={"name": task}, variant=node("plain"), model=sizes), 20, classes=4)
        for sizes in ({"feed_forward": 32}, {"feed_forward": 0, "persistent": 32})
    )
    layers = sum(stack.shape.depth for stack in plain.stacks)
    sizes = [sum(p.numel() for p in model.parameters()) for model in (plain, without)]
    assert sizes[0] - sizes[1] == layers * (32 + 16)


@pytest.mark.slow
def test_vectors_cost_what_the_feed_forward_did():
    """The estimate of a run counts them like hidden units."""
    costs = [
        relative_cost(tiny_config(f"model.feed_forward={hidden}", f"model.persistent={persistent}"))
        for hidden, persistent in ((32, 0), (0, 32), (0, 0), (32, 32))
    ]
    assert costs[0] == costs[1]
    assert costs[2] < costs[1]
    assert costs[3] - costs[1] == costs[1] - costs[2]


def test_without_a_feed_forward_a_layer_is_its_attentions():
    model = built(small_config(model={"feed_forward": 0}), vocabulary=20)
    assert [site.kind for site in model.encoder.sites] == ["attention"] * 3
    assert [site.kind for site in model.decoder.sites] == ["attention", "cross_attention"] * 3
    assert not own(model)
