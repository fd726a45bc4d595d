"""block=llama with Pre-LN against Hugging Face's LlamaForCausalLM: same weights, logits and gradients.

What differs, and is set alike here because it is no part of a block: its word vectors are used as they are, ours times
√width; and it turns column i of a head together with column i + half, where we turn adjacent columns, so the rows of
its query and key are ours in another order. It rounds its norms and the angles of rotation to float32; `exact` puts
float64 in both places, so that equal means equal.
"""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.support.configs import config_of
from tests.support.models import built

transformers = pytest.importorskip("transformers")
WORDS, DEPTH, HEAD_WIDTH = 20, 3, 16
LLAMA = ("block=llama", "variant=pre_ln", "task=language_modelling", "training.device=cpu", f"depth={DEPTH}")
MATRICES = {
    "query": "self_attn.q_proj", "key": "self_attn.k_proj", "value": "self_attn.v_proj", "out": "self_attn.o_proj",
    "gate": "mlp.gate_proj", "fc1": "mlp.up_proj", "fc2": "mlp.down_proj",
}  # fmt: skip
NORMS = {"attention": "input_layernorm", "feed_forward": "post_attention_layernorm"}


def ours_of(*overrides: str) -> nn.Module:
    """Float64, all weights off their start."""
    model = built(config_of(*LLAMA, *overrides), WORDS).double()
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return model


def theirs_of(ours: nn.Module) -> nn.Module:
    shape = ours.decoder.shape
    config = transformers.LlamaConfig(
        vocab_size=WORDS, hidden_size=shape.width, intermediate_size=shape.feed_forward, num_hidden_layers=DEPTH,
        num_attention_heads=shape.heads, num_key_value_heads=shape.heads, rms_norm_eps=1e-6, tie_word_embeddings=False,
        attn_implementation="sdpa",  # the other one has a softmax in float32
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config).double().eval()


class Angles(nn.Module):
    """Cosines and sines of its rotation.   batch, token, head width"""

    def forward(self, x: Tensor, position_ids: Tensor, **_: Any) -> tuple[Tensor, Tensor]:
        half = torch.arange(0, HEAD_WIDTH, 2, dtype=torch.float64) / HEAD_WIDTH
        angles = position_ids[..., None].double() * 10_000.0**-half
        both = torch.cat([angles, angles], dim=-1)
        return both.cos(), both.sin()


def exact(theirs: nn.Module) -> nn.Module:
    """Without its rounding to float32."""
    theirs.model.rotary_emb = Angles()
    for owner in (theirs.model, *theirs.model.layers):
        for name, module in list(owner.named_children()):
            if "norm" in name:
                setattr(owner, name, nn.RMSNorm(module.weight.shape, eps=1e-6, dtype=torch.float64))
    return theirs


def pairs(ours: nn.Module, theirs: nn.Module) -> list[tuple[str, Tensor, Tensor]]:
    """(name, our parameter, theirs) for everything that computes."""
    found = [
        ("words", ours.embedding.words.weight, theirs.model.embed_tokens.weight),
        ("head", ours.head.weight, theirs.lm_head.weight),
        ("final norm", ours.decoder.variant.final_norm.weight, theirs.model.norm.weight),
    ]
    for site in ours.decoder.sites:
        layer = theirs.model.layers[site.layer - 1]
        found.append((f"{site.name} norm", site.norm.weight, layer.get_submodule(NORMS[site.kind]).weight))
        for role, path in MATRICES.items():
            if path.startswith("self_attn") == (site.kind == "attention"):
                matrix = site.sublayer.get_submodule(role)
                found.append((f"{site.name} {role}", matrix.weight, layer.get_submodule(path).weight))
    return found


def as_theirs(name: str, value: Tensor, heads: int) -> Tensor:
    """A weight of ours, or the gradient of one, as it is kept there."""
    if name == "words":
        return value * value.shape[-1] ** 0.5
    if name.endswith(("query", "key")):  # head, pair, which of the two → head, which of the two, pair
        return value.unflatten(0, (heads, -1, 2)).transpose(1, 2).flatten(0, 2)
    return value


def compared(ours: nn.Module, theirs: nn.Module, tokens: Tensor) -> dict[str, float]:
    """The largest difference in the logits and in every gradient."""
    heads = ours.decoder.shape.heads
    mapped = pairs(ours, theirs)
    assert {id(p) for _, p, _ in mapped} == {id(p) for p in ours.parameters()}, "every weight of ours is compared"
    assert {id(p) for _, _, p in mapped} == {id(p) for p in theirs.parameters()}, "and every one of theirs"
    with torch.no_grad():
        for name, parameter, twin in mapped:
            twin.copy_(as_theirs(name, parameter, heads))
    logits, expected = ours(None, None, tokens), theirs(tokens).logits
    direction = torch.randn(logits.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    for result in (logits, expected):
        (result * direction).sum().backward()
    found = {"logits": (logits - expected).abs().max().item()}
    for name, parameter, twin in mapped:
        grad = parameter.grad / parameter.shape[-1] if name == "words" else parameter.grad  # as_theirs multiplies
        grad = as_theirs(name, grad, heads)
        found[name] = (grad - twin.grad).abs().max().item()
    return found


@pytest.fixture
def tokens() -> Tensor:
    return torch.randint(WORDS, (3, 11), generator=torch.Generator().manual_seed(1))


@pytest.mark.slow
def test_logits_and_gradients_are_the_same(tokens):
    ours = ours_of()
    found = compared(ours, exact(theirs_of(ours)), tokens)
    assert max(found.values()) < 1e-10, found


@pytest.mark.slow
def test_they_are_the_same_as_it_comes_but_for_its_rounding(tokens):
    ours = ours_of()
    found = compared(ours, theirs_of(ours), tokens)
    assert 1e-10 < max(found.values()) < 1e-4, found


@pytest.mark.slow
@pytest.mark.parametrize("slip", ["model.positions=none", "norm.eps=1e-3"])
def test_a_slip_is_seen(slip, tokens):
    ours = ours_of(slip)
    assert compared(ours, exact(theirs_of(ours)), tokens)["logits"] > 1e-4
