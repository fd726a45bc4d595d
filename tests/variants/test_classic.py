"""The classic variants beyond their forward: identity paths, starts, models without norm or bias."""

import pytest
import torch
from torch import nn

from normexp.norms import LayerNorm, RMSNorm
from normexp.probes.graph import graph
from tests.support.models import model_of

LAYERS = {  # the last layer of encoder and decoder
    "t5": (["h₁ = x + A(RMS(x))", "x ← h₁ + FFN(RMS(h₁))"],
           ["h₁ = x + A(RMS(x))", "h₂ = h₁ + C(RMS(h₁), memory)", "x ← h₂ + FFN(RMS(h₂))"]),
    "res_post_norm": (["h₁ = x + LN(A(x))", "x ← h₁ + LN(FFN(h₁))"],
                      ["h₁ = x + LN(A(x))", "h₂ = h₁ + LN(C(h₁, memory))", "x ← h₂ + LN(FFN(h₂))"]),
    "sandwich": (["h₁ = x + LN(A(LN(x)))", "x ← h₁ + LN(FFN(LN(h₁)))"],
                 ["h₁ = x + LN(A(LN(x)))", "h₂ = h₁ + LN(C(LN(h₁), memory))", "x ← h₂ + LN(FFN(LN(h₂)))"]),
    "no_norm": (["h₁ = x + A(x)", "x ← h₁ + FFN(h₁)"],
                ["h₁ = x + A(x)", "h₂ = h₁ + C(h₁, memory)", "x ← h₂ + FFN(h₂)"]),
    "first_norm_free": (["h₁ = x + A(LN(x))", "x ← h₁ + FFN(LN(h₁))"],
                        ["h₁ = x + A(LN(x))", "h₂ = h₁ + C(LN(h₁), memory)", "x ← h₂ + FFN(LN(h₂))"]),
    "parallel": (["x ← x + A(LN(x)) + FFN(LN(x))"], ["x ← x + A(LN(x)) + C(LN(x), memory) + FFN(LN(x))"]),
    "macaron": (["h₁ = x + FFN(LN(x))/2", "h₂ = h₁ + A(LN(h₁))", "x ← h₂ + FFN(LN(h₂))/2"],
                ["h₁ = x + FFN(LN(x))/2", "h₂ = h₁ + A(LN(h₁))", "h₃ = h₂ + C(LN(h₂), memory)",
                 "x ← h₃ + FFN(LN(h₃))/2"]),
}  # fmt: skip
LAYERS["swin_v2"], LAYERS["peri_ln"] = LAYERS["res_post_norm"], LAYERS["sandwich"]
CLOSES = dict.fromkeys(LAYERS, "output = LN(x)") | {"t5": "output = RMS(x)", "no_norm": "output = x"}


def parts(model, stack):
    return {part.where: list(part.lines) for part in graph(model) if part.stack == stack}


@pytest.mark.parametrize("name", LAYERS)
def test_the_graph_is_the_papers(name):
    model = model_of(name, 3, 4)
    for stack, lines in zip(("encoder", "decoder"), LAYERS[name], strict=True):
        found = parts(model, stack)
        assert [v for where, v in found.items() if where.startswith("layer")][-1] == lines
        assert found["closes"] == [CLOSES[name]]
        assert found.get("opens") == (["x = LN(embedding)"] if name == "peri_ln" else None)


@pytest.mark.parametrize("name", LAYERS)
def test_the_identity_path_is_left_alone(name):
    """With silent branches the stream leaves as it entered, and so does its gradient."""
    model = model_of(name, 3, 4).double()
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.weight)
    for stack in model.stacks:
        x = torch.randn(2, 5, 16, dtype=torch.float64, requires_grad=True)
        trace = {}
        memory = torch.randn(2, 3, 16, dtype=torch.float64)
        stack(x, memory=memory, trace=trace)
        stream, entered = trace[f"{stack.sites[-1].name}/stream"], stack.variant.start_stream(x)
        upstream = torch.randn_like(x)
        (gradient,) = torch.autograd.grad((stream * upstream).sum(), x, retain_graph=True)
        (expected,) = torch.autograd.grad((entered * upstream).sum(), x)
        assert torch.equal(stream, entered)
        assert torch.equal(gradient, expected)
        if name != "peri_ln":
            assert torch.equal(gradient, upstream)


def test_t5_has_no_bias_and_rms_norms_alone(tokens):
    model = model_of("t5", 3, 4)
    inside = [name for stack in model.stacks for name, _ in stack.named_parameters()]
    assert [name for name in inside if "bias" in name] == []
    norms = [m for m in model.modules() if isinstance(m, LayerNorm | RMSNorm)]
    assert len(norms) == 3 * 2 + 1 + 4 * 3 + 1
    assert {(type(m), m.eps) for m in norms} == {(RMSNorm, 1e-6)}
    # The same initial matrices as everywhere, by their names.
    name = "decoder.layers.03.cross_attention.sublayer.value.weight"
    assert torch.equal(model.state_dict()[name], model_of("pre_ln", 3, 4).state_dict()[name])
    model(**tokens).sum().backward()


def test_swin_v2_starts_as_the_identity(tokens):
    model = model_of("swin_v2", 3, 4)
    for stack in model.stacks:
        x = torch.randn(2, 5, 16)
        trace = {}
        stack(x, memory=torch.randn(2, 3, 16), trace=trace)
        assert torch.equal(trace[f"{stack.sites[-1].name}/stream"], x)
    assert torch.equal(model.encoder.variant.final_norm.weight, torch.ones(16))
    # Only the norm after a branch can learn at the first step.
    model(**tokens).logsumexp(-1).sum().backward()
    for site in model.encoder.sites:
        assert not any(p.grad.any() for p in site.sublayer.parameters())
    assert all(p.grad.any() for site in model.decoder.sites for p in site.norm.parameters())


def test_tays_form_leaves_the_stack_open():
    model = model_of("res_post_norm", options={"final_norm": False})
    assert parts(model, "encoder")["closes"] == ["output = x"]
    assert parts(model, "decoder")["closes"] == ["output = x"]


def test_only_the_first_attention_has_no_norm():
    """In each stack it reads the embedding as it is."""
    model = model_of("first_norm_free", 3, 4)
    free = [s.name for stack in model.stacks for s in stack.sites if isinstance(s.norm, nn.Identity)]
    assert free == ["encoder.01.attention", "decoder.01.attention"]


def test_parallel_has_one_norm_a_layer():
    model = model_of("parallel", 3, 4)
    assert sum(isinstance(m, LayerNorm) for m in model.modules()) == (3 + 1) + (4 + 1)


def test_macarons_two_feed_forwards_start_apart():
    model = model_of("macaron", 3, 4)
    names = [site.name for site in model.decoder.sites_by_layer[1]]
    kinds = ["feed_forward_in", "attention", "cross_attention", "feed_forward"]
    assert names == [f"decoder.02.{kind}" for kind in kinds]
    first, *_, last = model.decoder.sites_by_layer[1]
    assert not torch.equal(first.sublayer.fc1.weight, last.sublayer.fc1.weight)
    # The usual sub-layers start as in every other variant.
    pre_ln = model_of("pre_ln", 3, 4).decoder.sites_by_layer[1][-1]
    assert torch.equal(last.sublayer.fc1.weight, pre_ln.sublayer.fc1.weight)


@pytest.mark.parametrize("name", LAYERS)
def test_no_initial_weight_is_scaled(name):
    variant = model_of(name, 3, 4).encoder.variant
    assert {
        variant.init_scale(None, role) for role in ("embedding", "head", "query", "value", "out", "fc1", "fc2")
    } == {1.0}
