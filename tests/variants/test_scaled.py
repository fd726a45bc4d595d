"""Scaled variants: constants against numbers worked out by hand, initial weights, special cases.

Depths are (encoder, decoder), 0 where there is no such stack.
"""

import pytest
import torch
from torch import nn

from normexp.errors import ConfigError
from normexp.model.variant import StackShape
from normexp.norms import LayerNorm
from normexp.probes.graph import graph
from normexp.variants.admin import Admin, AdminConstant
from normexp.variants.branch_norm import BranchNorm
from normexp.variants.deep_norm import DeepNorm
from normexp.variants.deep_scale import DeepScale
from normexp.variants.keel import Keel
from tests.support.models import TORCH_DEFAULT, model_of, node

NAMES = ["scaled_skip", "deep_norm", "admin", "admin_constant", "keel", "recursive_skip", "branch_norm", "deep_scale"]


def variant_of(cls, stack, depths, **options):
    return cls(StackShape(stack, *depths, width=8, heads=2, feed_forward=16), LayerNorm, **options)


@pytest.mark.parametrize(
    ("stack", "depths", "alpha", "beta"),
    [
        ("encoder", (6, 0), 1.861210, 0.379918),  # 12^¼, 48^−¼
        ("encoder", (18, 0), 2.449490, 0.288675),  # 36^¼, 144^−¼
        ("encoder", (1, 0), 1.189207, 0.594604),
        ("decoder", (0, 18), 2.449490, 0.288675),
        ("encoder", (6, 6), 1.417938, 0.496989),  # 6^5/16 = 1.750541
        ("decoder", (6, 6), 2.059767, 0.343295),  # 18^¼, 72^−¼
        ("encoder", (12, 6), 1.686222, 0.417916),  # 12^¼ · 6^1/16 = 2.081756
        ("decoder", (12, 6), 2.059767, 0.343295),
        ("encoder", (6, 12), 1.480716, 0.475919),  # 6^¼ · 12^1/16 = 1.828044
        ("decoder", (6, 12), 2.449490, 0.288675),
        ("encoder", (100, 100), 3.415742, 0.206310),  # 100^5/16 = 4.216965
        ("decoder", (100, 100), 4.161791, 0.169904),
    ],
)
def test_deep_norm_has_the_papers_constants(stack, depths, alpha, beta):
    variant = variant_of(DeepNorm, stack, depths)
    assert (variant.alpha, variant.beta) == pytest.approx((alpha, beta), rel=3e-6)


def test_deep_norm_scales_matrices_by_role_and_no_bias():
    plain, scaled = (model_of(name, init=TORCH_DEFAULT).state_dict() for name in ("post_ln", "deep_norm"))
    betas = {"encoder": 0.87 * 3 ** (-5 / 16), "decoder": 36**-0.25}
    assert set(plain) == set(scaled)
    for name, value in scaled.items():
        *_, role, kind = name.split(".")
        factor = betas[name.split(".")[0]] if role in ("value", "out", "fc1", "fc2") and kind == "weight" else 1
        assert torch.allclose(value, factor * plain[name]), name


@pytest.mark.parametrize("name", [name for name in NAMES if name != "deep_norm"])
def test_the_others_scale_no_initial_weight(name):
    plain, own = model_of("post_ln").state_dict(), model_of(name).state_dict()
    drawn = [name for name in plain if "sublayer" in name or "words" in name]
    assert all(torch.equal(plain[name], own[name]) for name in drawn)


@pytest.mark.parametrize(
    ("stack", "depths", "output_change", "omega"),
    [
        ("encoder", (6, 0), "log", 2.017009),  # S = 12: √(13/2.564949 − 1)
        ("encoder", (6, 18), "log", 2.017009),  # its own stack's sub-layers
        ("decoder", (6, 18), "log", 3.567189),  # S = 54: √(55/4.007333 − 1)
        ("decoder", (0, 6), "log", 2.017009),  # nothing to read: 2 a layer
        ("encoder", (100, 100), "log", 6.074611),  # S = 200: √(201/5.303305 − 1)
        ("decoder", (6, 18), "constant", 7.348469),  # √54
        ("encoder", (6, 18), "constant", 3.464102),
        ("decoder", (6, 18), "linear", 1.0),
    ],
)
def test_admin_constant_has_the_formulas_constants(stack, depths, output_change, omega):
    variant = variant_of(AdminConstant, stack, depths, output_change=output_change)
    assert variant.omega == pytest.approx(omega, rel=3e-6)


def test_admin_constant_refuses_another_word():
    with pytest.raises(ConfigError, match=r"output_change must be one of log, constant, linear; got loglog"):
        variant_of(AdminConstant, "encoder", (2, 2), output_change="loglog")


@pytest.mark.parametrize(
    ("stack", "depths", "alpha"),
    [("encoder", (6, 0), 12), ("encoder", (6, 18), 12), ("decoder", (6, 18), 54), ("decoder", (0, 6), 12)],
)
def test_keels_skip_weighs_as_much_as_there_are_sublayers(stack, depths, alpha):
    assert variant_of(Keel, stack, depths).alpha == alpha
    assert variant_of(Keel, stack, depths, alpha=3).alpha == 3


def test_keels_first_layer_has_no_alpha_and_no_first_norm():
    """So the embedding is not weighted S : 1 against the first branch, and the gradient reaches it."""
    model = model_of("keel", 3, 4)
    for stack in model.stacks:
        without = [site.name for site in stack.sites if not hasattr(site, "norm_out")]
        assert without == [f"{stack.shape.stack}.01.attention"]
    parts = {part.where: part.lines for part in graph(model) if part.stack == "decoder"}
    assert parts["layer 1"] == ("h₁ = x + A(LN(x))", "h₂ = LN(h₁ + C(LN(h₁), memory))", "x ← LN(h₂ + FFN(LN(h₂)))")
    every = {part.where for part in graph(model_of("keel", 3, 4, options={"first_block": False}))}
    assert every == {"layers 1–3", "layers 1–4", "closes"}


@pytest.mark.parametrize(
    ("stack", "depths", "skip", "beta"),
    [
        ("encoder", (4, 0), 0.866025, 0.5),  # √(1 − 1/4), √1/4
        ("encoder", (9, 6), 0.942809, 0.333333),
        ("decoder", (9, 3), 0.816497, 0.577350),
        ("decoder", (18, 100), 0.994987, 0.1),
        ("encoder", (192, 0), 0.997392, 0.072169),  # 0.9974969 and 0.0707107 in the authors' code, β² = 0.005
        ("encoder", (1, 6), 0.0, 1.0),  # the formula's end
    ],
)
def test_deep_scale_keeps_the_variance(stack, depths, skip, beta):
    variant = variant_of(DeepScale, stack, depths)
    assert (variant.skip, variant.beta) == pytest.approx((skip, beta), abs=1e-6)
    assert variant.skip**2 + variant.beta**2 == pytest.approx(1)


def test_deep_scale_says_where_it_has_no_skip():
    assert variant_of(DeepScale, "encoder", (1, 3)).warnings() == ["no skip at depth 1: λ = 0 where L ≤ k = 1"]
    assert variant_of(DeepScale, "encoder", (2, 3), k=2).warnings() == ["no skip at depth 2: λ = 0 where L ≤ k = 2"]
    assert variant_of(DeepScale, "decoder", (1, 3)).warnings() == []


def test_deep_scales_identity_path_shrinks_by_its_constant():
    model = model_of("deep_scale", 3, 4).double()
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.weight)
    for stack, expected in ((model.encoder, (2 / 3) ** 3), (model.decoder, (3 / 4) ** 6)):  # λ^S, λ² = 2/3 and 3/4
        x = torch.randn(2, 5, 16, dtype=torch.float64, requires_grad=True)
        trace = {}
        stack(x, memory=torch.randn(2, 3, 16, dtype=torch.float64), trace=trace)
        (gradient,) = torch.autograd.grad(trace[f"{stack.sites[-1].name}/stream"].sum(), x)
        assert torch.allclose(gradient, torch.full_like(gradient, expected))


@pytest.mark.parametrize("depth", [12, 48])
def test_deep_scales_init_keeps_moments_at_any_depth(depth):
    """The variance of stream and branches, and of the gradient from top to bottom, stays near 1."""
    size = {"width": 64, "feed_forward": 256}
    model = model_of("deep_scale", depth, 1, task="classification", model=size, init=node("deep_scale", "init"))
    torch.manual_seed(0)
    shared, own = torch.randn(8, 1, 64), torch.randn(8, 24, 64)
    x = (0.221**0.5 * shared + (1 - 0.221) ** 0.5 * own).requires_grad_()
    trace = {}
    model.encoder(x, trace=trace)
    top = trace[f"{model.encoder.sites[-1].name}/stream"]
    (gradient,) = torch.autograd.grad(top, x, torch.randn_like(top))
    streams = [trace[f"{site.name}/stream"].var().item() for site in model.encoder.sites]
    branches = [trace[f"{site.name}/branch"].var().item() for site in model.encoder.sites]
    assert 0.5 < min(streams) < max(streams) < 2
    assert 0.5 < sum(branches) / len(branches) < 2
    assert 0.5 < gradient.var().item() < 2


def test_branch_norm_rises_to_post_ln_and_stays():
    variant = variant_of(BranchNorm, "encoder", (2, 2), full_at=40)
    seen = [float(variant.alpha)]
    for step in (1, 2, 20, 40, 41, 1000):
        variant.on_step_begin(step)
        seen.append(float(variant.alpha))
    assert seen == pytest.approx([0.025, 0.025, 0.05, 0.5, 1, 1, 1])
    assert "alpha" in variant.state_dict()
    fresh = variant_of(BranchNorm, "encoder", (2, 2), full_at=40)
    fresh.load_state_dict(variant.state_dict())
    assert fresh.alpha == 1


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("scaled_skip", {"skip": 1.0}),
        ("recursive_skip", {"skips": 1}),
        ("admin_constant", {"output_change": "linear"}),
        ("admin", {}),  # before it is calibrated
        ("branch_norm", {"full_at": 1}),
    ],
)
def test_where_it_is_post_ln(name, options, tokens):
    assert torch.equal(model_of(name, options=options)(**tokens), model_of("post_ln")(**tokens))


@pytest.fixture
def profiled(tokens):
    """An Admin with dropout, in training mode, calibrated as the trainer does it."""
    model = model_of("admin", model={"dropout": 0.1}).train()

    def forward():
        torch.manual_seed(5)
        model(**tokens)

    with torch.no_grad():
        for stack in model.stacks:
            stack.variant.calibrate(forward)
    return model, forward


def test_admin_measures_each_sum_under_the_omegas_below_it(profiled, tokens):
    model, _ = profiled
    trace = {}
    torch.manual_seed(5)
    with torch.no_grad():
        model(**tokens, trace=trace)
        torch.manual_seed(5)
        embedded = {"encoder": model.embedding(tokens["source"])}
        torch.manual_seed(5)
        model.encode(tokens["source"], tokens["source_mask"])
        embedded["decoder"] = model.embedding(tokens["target"])
    for stack in model.stacks:
        x, omega = embedded[stack.shape.stack], 1.0
        for site in stack.sites:
            assert torch.allclose(site.omega, torch.full((16,), omega)), site.name
            branch = trace[f"{site.name}/branch"]
            omega = float((omega**2 * x.var(correction=0) + branch.var(correction=0)).sqrt())
            x = trace[f"{site.name}/stream"]


def test_admin_keeps_what_it_measured(profiled):
    model, forward = profiled
    omegas = [site.omega[0].item() for site in model.decoder.sites]
    assert omegas[0] == 1
    assert omegas[-1] > 1.2
    assert {name for name in model.state_dict() if "omega" in name} == {
        f"{stack}.layers.{layer:02d}.{kind}.omega"
        for stack, kinds in (("encoder", ("attention", "feed_forward")),
                             ("decoder", ("attention", "cross_attention", "feed_forward")))
        for layer in (1, 2, 3)
        for kind in kinds
    }  # fmt: skip
    forward()  # a later forward measures nothing
    assert [site.omega[0].item() for site in model.decoder.sites] == omegas
    assert all(site.omega.requires_grad for site in model.decoder.sites)


def test_admin_measures_no_more_after_a_forward_that_failed():
    variant = variant_of(Admin, "encoder", (2, 2))
    with pytest.raises(RuntimeError):
        variant.calibrate(lambda: torch.zeros(2) @ torch.zeros(3))
    assert "join" not in vars(variant)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("scaled_skip", "x ← LN(2·h₂ + FFN(h₂))"),
        ("deep_norm", "x ← LN(1.861·h₂ + FFN(h₂))"),  # 12^¼
        ("admin", "x ← LN(omega·h₂ + FFN(h₂))"),
        ("admin_constant", "x ← LN(2.017·h₂ + FFN(h₂))"),
        ("keel", "x ← LN(12·h₂ + FFN(LN(h₂)))"),
        ("recursive_skip", "x ← LN(h₂ + LN(h₂ + FFN(h₂)))"),
        ("branch_norm", "x ← LN(h₂ + 0.025·FFN(h₂))"),
        ("deep_scale", "x ← 0.866·h₂ + 0.5·FFN(LN(h₂))"),
    ],
)
def test_the_graph_is_the_papers(name, line):
    parts = {part.where: part.lines for part in graph(model_of(name, 3, 4)) if part.stack == "decoder"}
    assert parts["layers 2–4" if name == "keel" else "layers 1–4"][-1] == line
    assert parts["closes"] == (("output = LN(x)",) if name == "deep_scale" else ("output = x",))
