"""B2T, DLCL, ResiDual, SiameseNorm, hyper-connections: constants, starts, paths, options."""

import math

import pytest
import torch

from normexp.errors import ConfigError
from normexp.probes.graph import graph
from normexp.variants.mhc import Sinkhorn
from tests.support.models import TORCH_DEFAULT, model_of
from tests.support.references.comparison import REFERENCES, close, outputs


def silence(model):
    """Every branch's output is zero from here on."""
    for stack in model.stacks:
        for site in stack.sites:
            site.branch = torch.zeros_like


def through(stack, x):
    """The stream after the last layer, before it is closed."""
    stream = stack.variant.start_stream(x)
    for sites in stack.sites_by_layer:
        stream = stack.variant.layer(stream, sites)
    return stream


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("dlcl_pre", {"start": "ones"}),
        ("dlcl_post", {"start": "ones"}),
        ("resi_dual", {"scale": 0.25}),
        ("hyper_connections", {"streams": 2}),
        ("static_hyper_connections", {"streams": 1}),
        ("mhc", {"streams": 3, "rounds": 2}),
        ("mhc", {"distinct": 0.3}),
        ("hyper_connections", {"distinct": 0.3}),
        ("static_hyper_connections", {"streams": 3, "distinct": 0.3}),
    ],
)
def test_options_do_what_the_reference_does(name, options):
    for ours, theirs in outputs(name, "translation", REFERENCES[name], **options):
        assert close(ours, theirs)


# -- B2T ----------------------------------------------------------------------------------------------


def test_b2t_scales_matrices_by_depth_and_no_bias():
    """The depth is that of its own stack."""
    plain = dict(model_of("b2t", 4, 9, init=TORCH_DEFAULT).named_parameters())
    scaled = dict(model_of("b2t", 4, 9, options={"weight_scaling": True}, init=TORCH_DEFAULT).named_parameters())
    for name, value in scaled.items():
        matrix = ".sublayer." in name and name.endswith("weight")
        factor = {"encoder": 1 / 2, "decoder": 1 / 3}[name.partition(".")[0]] if matrix else 1.0
        assert torch.allclose(value, factor * plain[name], rtol=1e-6, atol=0), name


def test_b2t_without_its_switch_starts_as_post_ln():
    post_ln = model_of("post_ln").state_dict()
    assert all(torch.equal(value, post_ln[name]) for name, value in model_of("b2t").state_dict().items())


# -- DLCL ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["dlcl_pre", "dlcl_post"])
def test_the_mix_starts_as_the_average_of_all_below(name):
    model = model_of(name, 2, 4)
    expected = torch.tensor([[1, 0, 0], [1 / 2, 1 / 2, 0], [1 / 3, 1 / 3, 1 / 3]])
    assert torch.allclose(model.encoder.variant.mix, expected)
    assert model.decoder.variant.mix[4].tolist() == pytest.approx([0.2] * 5)
    ones = model_of(name, 2, 4, options={"start": "ones"})
    assert ones.encoder.variant.mix.tolist() == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]


def test_a_start_that_dlcl_does_not_have_is_refused():
    with pytest.raises(ConfigError, match="average or ones"):
        model_of("dlcl_pre", options={"start": "zeros"})


# -- ResiDual and SiameseNorm -------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "options", "gradient"), [("resi_dual", {"scale": 0.5}, 0.5), ("siamese_norm", {}, 1)])
def test_the_second_stream_is_an_identity_path(name, options, gradient):
    model = model_of(name, options=options)
    silence(model)
    for stack in model.stacks:
        x = torch.randn(2, 5, 16, requires_grad=True)
        through(stack, x)[1].sum().backward()
        assert torch.equal(x.grad, torch.full_like(x, gradient))


@pytest.mark.parametrize("layer", [1, 2, 4, 6])
def test_siamese_norm_divides_by_the_root_of_twice_the_layer(layer):
    model = model_of("siamese_norm", 6, 7)
    for stack in model.stacks:
        for site in stack.sites_by_layer[layer - 1]:
            site.branch = torch.ones_like
            a, b = torch.randn(2, 5, 16), torch.zeros(2, 5, 16)
            after = stack.variant.join((a, b), site)
            step = {1: 0.70710678, 2: 0.5, 4: 0.35355339, 6: 0.28867513}[layer]
            assert torch.allclose(after[0] - site.post_norm(a), torch.full_like(a, step), atol=1e-6)
            assert torch.equal(after[1], torch.ones_like(b))


# -- hyper-connections --------------------------------------------------------------------------------

HYPER = ["static_hyper_connections", "hyper_connections", "mhc"]


@pytest.mark.parametrize("name", HYPER)
def test_hyper_connections_start_as_pre_ln(name, tokens):
    ours, pre_ln = model_of(name, 3, 2).double(), model_of("pre_ln", 3, 2).double()
    with torch.no_grad():  # up to eps: their last norm sees a stream n times as long
        assert torch.allclose(ours(**tokens), pre_ln(**tokens), rtol=0, atol=1e-4)


def test_each_site_starts_by_reading_the_next_stream():
    model = model_of("static_hyper_connections", 3, 3)
    reads = {stack.shape.stack: [site.read.argmax().item() for site in stack.sites] for stack in model.stacks}
    assert reads == {"encoder": [0, 1, 2, 3, 0, 1], "decoder": [0, 1, 2, 3, 0, 1, 2, 3, 0]}
    assert all(site.read.sum() == 1 for site in model.decoder.sites)


@pytest.mark.parametrize("name", HYPER)
def test_the_sum_of_the_streams_is_an_identity_path(name):
    model = model_of(name).double()
    silence(model)
    for stack in model.stacks:
        x = torch.randn(2, 5, 16, dtype=torch.float64, requires_grad=True)
        stack.variant.main_stream(through(stack, x)).sum().backward()
        assert torch.allclose(x.grad, torch.full_like(x, 4), rtol=1e-6)


def test_dynamic_weights_depend_on_the_token_once_w_has_moved():
    model = model_of("hyper_connections")
    site, variant = model.encoder.sites[0], model.encoder.variant
    h = variant.start_stream(torch.randn(2, 5, 16))
    still = variant.weights(h, site)[1]
    assert torch.equal(still, torch.eye(4).expand(2, 5, 4, 4))
    site.mix_of.data.normal_()
    moved = variant.weights(h, site)[1] - torch.eye(4)
    assert moved.std(dim=1).min() > 0
    assert moved.abs().max() <= 0.01  # s · tanh


def test_sinkhorn_ends_nearly_doubly_stochastic():
    logits = torch.randn(7, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    matrix = Sinkhorn(20)(logits)
    assert (matrix > 0).all()
    assert torch.allclose(matrix.sum(-1), torch.ones(7, 4, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(matrix.sum(-2), torch.ones(7, 4, dtype=torch.float64), atol=1e-3)
    once = logits.exp() / logits.exp().sum(-2, keepdim=True)
    assert torch.allclose(Sinkhorn(1)(logits), once / once.sum(-1, keepdim=True))
    assert Sinkhorn(20)(torch.randn(4, 4) * 300).isfinite().all()


def test_mhc_starts_within_its_constraints():
    model = model_of("mhc")
    h = model.encoder.variant.start_stream(torch.randn(2, 5, 16))
    a, mix, b = model.encoder.variant.weights(h, model.encoder.sites[1])
    near, far = 1 / (1 + math.exp(-4)), 1 / (1 + math.exp(4))
    assert a.tolist() == [[pytest.approx([far, near, far, far])] * 5] * 2
    assert torch.allclose(b, torch.ones_like(b))
    assert torch.allclose(mix, torch.eye(4).expand_as(mix), atol=2e-3)


# -- what is printed ----------------------------------------------------------------------------------

EQUATIONS = {
    "b2t": ["h₁ = LN(x + A(x))", "x ← LN(x + h₁ + FFN(h₁))", "output = x"],
    "dlcl_pre": [
        "y = einsum(mix, stack(x₀))", "h₁ = y + A(LN(y))", "h₂ = h₁ + FFN(LN(h₁))", "x ← x₀, LN(h₂)",
        "output = LN(einsum(mix, stack(x₀, x₁)))",
    ],
    "dlcl_post": [
        "y = einsum(mix, stack(x₀))", "h₁ = LN(y + A(y))", "h₂ = LN(h₁ + FFN(h₁))", "x ← x₀, h₂",
        "output = LN(einsum(mix, stack(x₀, x₁)))",
    ],
    "resi_dual": [
        "x = embedding, 1·embedding", "h₁ = LN(x₀ + A(x₀)), x₁ + 1·A(x₀)",
        "x ← LN(h₁₀ + FFN(h₁₀)), h₁₁ + 1·FFN(h₁₀)", "output = x₀ + LN(x₁)",
    ],
    "siamese_norm": [
        "x = embedding, embedding",
        "h₁ = LN(x₀) + A(LN(LN(x₀) + LN(x₁)))/1.414, x₁ + A(LN(LN(x₀) + LN(x₁)))",
        "x ← LN(h₁₀) + FFN(LN(LN(h₁₀) + LN(h₁₁)))/1.414, h₁₁ + FFN(LN(LN(h₁₀) + LN(h₁₁)))",
        "output = LN(LN(x₀) + LN(x₁))",
    ],
    "static_hyper_connections": [
        "x = stack(embedding, embedding, embedding, embedding)",
        "h₁ = einsum(mix, x) + einsum(write, A(LN(einsum(read, x))))",
        "x ← einsum(mix, h₁) + einsum(write, FFN(LN(einsum(read, h₁))))",
        "output = LN(sum(x))",
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", EQUATIONS)
def test_the_encoders_equations(name):
    parts = graph(model_of(name, 1, 1))
    assert [line for part in parts if part.stack == "encoder" for line in part.lines] == EQUATIONS[name]


def test_the_constraints_of_mhc_are_printed():
    text = " ".join(line for part in graph(model_of("mhc", 1, 1)) for line in part.lines)
    assert "Sinkhorn(mix_scale·" in text
    assert "2·sigmoid(write_scale·" in text
