"""Mix-LN, HybridNorm, NormFormer, Sub-LN, per_stack: constants by depth, identity paths, slots, options."""

import pytest
import torch

from normexp.config.compose import Composer
from normexp.errors import ConfigError
from normexp.model.variant import Context, Site, StackShape
from normexp.norms import LayerNorm
from normexp.probes.graph import graph
from normexp.variants.per_stack import _bundled
from normexp.variants.sub_ln import SubLN
from normexp.views.show import describe
from tests.support.configs import config_of
from tests.support.models import TORCH_DEFAULT, model_of
from tests.support.references.comparison import REFERENCES, close, outputs
from tests.support.runs import tiny_config


def lines_of(model, stack):
    return {part.where: part.lines for part in graph(model) if part.stack == stack}


@pytest.mark.parametrize(
    ("name", "options"),
    [("mix_ln", {"fraction": 0.5}), ("mix_ln", {"fraction": 1.0}), ("norm_former", {"residual_gain": True})],
)
def test_options_do_what_the_reference_does(name, options):
    for ours, theirs in outputs(name, "translation", REFERENCES[name], **options):
        assert close(ours, theirs)


@pytest.mark.parametrize("name", ["layer_norm_scaling", "norm_former", "sub_ln"])
def test_the_identity_path_has_gradient_one(name):
    model = model_of(name)
    for stack in model.stacks:
        for site in stack.sites:
            site.branch = torch.zeros_like
        x = stream = torch.randn(2, 5, 16, requires_grad=True)
        for sites in stack.sites_by_layer:
            stream = stack.variant.layer(stream, sites)
        stream.sum().backward()
        assert torch.equal(x.grad, torch.ones_like(x))


# -- Mix-LN -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("depth", "fraction", "post_layers"),
    [
        (1, 0.25, 0),
        (3, 0.25, 0),
        (4, 0.25, 1),
        (6, 0.25, 1),
        (12, 0.25, 3),
        (18, 0.25, 4),
        (10, 0.3, 3),
        (100, 0.29, 29),
    ],
)
def test_mix_ln_rounds_the_number_of_post_layers_down(depth, fraction, post_layers):
    variant = model_of("mix_ln", depth, 2, options={"fraction": fraction}).encoder.variant
    assert variant.post_layers == post_layers


def test_mix_ln_splits_each_stack_separately():
    """Post-LN below, Pre-LN above."""
    model = model_of("mix_ln", 8, 4)
    assert lines_of(model, "encoder") == {
        "layers 1–2": ("h₁ = LN(x + A(x))", "x ← LN(h₁ + FFN(h₁))"),
        "layers 3–8": ("h₁ = x + A(LN(x))", "x ← h₁ + FFN(LN(h₁))"),
        "closes": ("output = LN(x)",),
    }
    assert list(lines_of(model, "decoder")) == ["layer 1", "layers 2–4", "closes"]


@pytest.mark.slow
def test_mix_ln_says_when_nothing_is_mixed(tokens):
    mixed, pre_ln = model_of("mix_ln", 3, 3), model_of("pre_ln", 3, 3)
    assert torch.equal(mixed(**tokens), pre_ln(**tokens))
    shown = describe(tiny_config("variant=mix_ln", "model.encoder_depth=2", "model.decoder_depth=4"))
    assert "  encoder: not mixed: ⌊0.25 · 2⌋ = 0 of its layers are Post-LN, so all are Pre-LN" in shown
    assert "decoder: not mixed" not in shown
    remarks = model_of("mix_ln", options={"fraction": 1.0}).encoder.variant.warnings()
    assert remarks == ["not mixed: ⌊1 · 3⌋ = 3 of its layers are Post-LN, so all are Post-LN"]


# -- LayerNorm scaling --------------------------------------------------------------------------------


def test_norms_shrink_with_the_root_of_the_layer():
    """All but the norm after the last layer."""
    model = model_of("layer_norm_scaling", 9, 4)
    roots = {1: 1, 2: 1.4142136, 3: 1.7320508, 4: 2, 9: 3}
    x = torch.randn(2, 5, 16)
    for stack in model.stacks:
        assert torch.equal(stack.variant.finish_stream(x), stack.variant.final_norm(x))
        for site in stack.sites:
            site.branch = lambda read: read
            if site.layer in roots:
                read = stack.variant.join(x, site) - x
                assert torch.allclose(read * roots[site.layer], site.norm(x), atol=1e-5)


# -- HybridNorm ---------------------------------------------------------------------------------------


def test_hybrid_norm_norms_heads_in_all_attention():
    """Query, key and value get one norm of a head's width each, in cross-attention too."""
    model = model_of("hybrid_norm")
    for site in model.encoder.sites + model.decoder.sites:
        if site.kind == "feed_forward":
            assert not site.sublayer.inside
        else:  # cross-attention too
            assert list(site.sublayer.inside) == ["query", "key", "value"]
            assert all(norm.weight.shape == (4,) for norm in site.sublayer.inside.values())
            assert not hasattr(site, "norm")


def test_hybrid_norm_star_differs_in_the_first_layer():
    """And in no other."""
    inside = tuple(f"inside {b}: LN at {slot}" for b in "AC" for slot in ("query", "key", "value"))
    hybrid = ("h₁ = x + A(x)", "h₂ = h₁ + C(h₁, memory)", "x ← LN(h₂) + FFN(LN(h₂))", *inside)
    first = ("h₁ = x + A(LN(x))", "h₂ = h₁ + C(LN(h₁), memory)", "x ← h₂ + FFN(LN(h₂))", *inside)
    closes = ("output = LN(x)",)
    assert lines_of(model_of("hybrid_norm"), "decoder") == {"layers 1–3": hybrid, "closes": closes}
    star = lines_of(model_of("hybrid_norm_star"), "decoder")
    assert star == {"layer 1": first, "layers 2–3": hybrid, "closes": closes}


# -- NormFormer ---------------------------------------------------------------------------------------


def test_norm_former_leaves_cross_attention_plain():
    """Attention has head gains and a norm, the feed-forward a norm, cross-attention neither."""
    model = model_of("norm_former", options={"residual_gain": True})
    attention, cross, feed_forward = model.decoder.sites_by_layer[0]
    assert attention.sublayer.inside["heads"].gain.flatten().tolist() == [1] * 4
    assert list(attention.sublayer.inside) == ["heads", "output"]
    assert list(cross.sublayer.inside) == []
    assert feed_forward.sublayer.inside["before_fc2"].weight.shape == (32,)
    assert feed_forward.skip.gain.tolist() == [1] * 16
    assert not list(attention.skip.parameters())
    assert "x ← gain·h₂ + FFN(LN(h₂))" in lines_of(model, "decoder")["layers 1–3"]
    assert "x ← h₂ + FFN(LN(h₂))" in lines_of(model_of("norm_former"), "decoder")["layers 1–3"]


# -- Sub-LN -------------------------------------------------------------------------------------------

GAINS = [  # by hand: √ln(2N), √ln(2M); √(ln(3M) ln(2N)/3), √ln(3M)
    ("encoder", 1, 0, 0.832555),
    ("encoder", 18, 0, 1.893019),
    ("decoder", 0, 24, 1.967537),
    ("encoder", 18, 6, 1.858109),
    ("decoder", 18, 6, 1.700109),
    ("encoder", 6, 18, 1.817714),
    ("decoder", 6, 18, 1.997244),
]


@pytest.mark.parametrize(("stack", "encoder_depth", "decoder_depth", "expected"), GAINS)
def test_sub_ln_gains(stack, encoder_depth, decoder_depth, expected):
    shape = StackShape(stack, encoder_depth, decoder_depth, width=16, heads=4, feed_forward=32)
    variant = SubLN(shape, LayerNorm)
    sites = {
        kind: Site(shape, 1, 1, kind, kind, 0.0, Context()) for kind in ("attention", "cross_attention", "feed_forward")
    }
    for role in ("value", "out"):
        assert variant.init_scale(sites["attention"], role) == pytest.approx(expected, abs=2e-6)
        assert variant.init_scale(sites["cross_attention"], role) == 1
    for role in ("fc1", "fc2"):
        assert variant.init_scale(sites["feed_forward"], role) == pytest.approx(expected, abs=2e-6)
    for role in ("query", "key"):
        assert variant.init_scale(sites["attention"], role) == 1
    assert variant.init_scale(None, "embedding") == variant.init_scale(None, "head") == 1


def test_sub_ln_scales_matrices_by_role_and_no_bias():
    plain = model_of("pre_ln", 18, 6, init=TORCH_DEFAULT).state_dict()
    scaled = model_of("sub_ln", 18, 6, init=TORCH_DEFAULT).state_dict()
    factors = {"encoder": 1.858109, "decoder": 1.700109}
    for name, value in plain.items():
        inner = any(f".{role}.weight" in name for role in ("value", "out", "fc1", "fc2"))
        factor = factors[name.partition(".")[0]] if inner and "cross_attention" not in name else 1.0
        assert torch.allclose(scaled[name], factor * value, rtol=2e-6, atol=0), name


def test_sub_ln_norms_inside_all_but_cross_attention():
    attention, cross, feed_forward = model_of("sub_ln").decoder.sites_by_layer[0]
    assert [list(site.sublayer.inside) for site in (attention, cross, feed_forward)] == [
        ["before_out"],
        [],
        ["before_fc2"],
    ]
    assert feed_forward.sublayer.inside["before_fc2"].weight.shape == (32,)


@pytest.mark.parametrize(("encoder", "decoder"), [("post_ln", "pre_ln"), ("b2t", "admin"), ("ngpt", "post_ln")])
def test_per_stack_is_its_two_variants(encoder, decoder, tokens):
    """The same weights give the same stacks as the two variants by themselves."""
    both = model_of("per_stack", 3, 3, options={"encoder": encoder, "decoder": decoder})
    first, second = model_of(encoder, 3, 3), model_of(decoder, 3, 3)
    assert type(both.encoder.variant) is type(first.encoder.variant)
    assert type(both.decoder.variant) is type(second.decoder.variant)
    assert lines_of(both, "encoder") == lines_of(first, "encoder")
    assert lines_of(both, "decoder") == lines_of(second, "decoder")
    x = torch.randn(2, 5, both.encoder.shape.width)
    assert torch.equal(both.encoder(x), first.encoder(x))
    assert torch.equal(both.decoder(x, memory=x), second.decoder(x, memory=x))


@pytest.mark.parametrize("name", [name for name in Composer("train").options("variant") if name != "per_stack"])
def test_per_stack_reads_options_as_the_command_line_does(name):
    chosen = config_of(f"variant={name}").variant
    assert (_bundled("encoder", name).target, _bundled("encoder", name).options) == (chosen.target, chosen.options)


def test_per_stack_has_names_of_the_package_only():
    with pytest.raises(ConfigError, match=r"^variant\.decoder must be one of admin, .*; got half$"):
        model_of("per_stack", options={"decoder": "half"})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("variant.encoder=skipless", "model.feed_forward=0"), "model.feed_forward must be at least 1"),
        (("variant.decoder=admin", "norm=none"), "norm=none cannot be used"),
        (("variant.encoder=no_norm", "variant.decoder=no_norm", "norm=rms_norm"), "norm is not used"),
        (("variant.decoder=hyper_connections", "addon=[gpas]"), "addon=gpas needs a variant with one stream"),
    ],
)
def test_what_one_of_its_variants_refuses_per_stack_refuses(words, said):
    with pytest.raises(ConfigError, match=said):
        tiny_config("variant=per_stack", *words)
