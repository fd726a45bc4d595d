"""Attention residuals, DenseFormer, SpanNorm and their like: starts, options, what their equations promise."""

import pytest
import torch

from normexp.errors import ConfigError
from normexp.probes.graph import graph
from tests.support import golden
from tests.support.configs import config_of
from tests.support.models import model_of, node
from tests.support.references.comparison import REFERENCES, close, outputs
from tests.support.runs import tiny_config

ATTENTION_RESIDUALS = ["attention_residuals", "block_attention_residuals"]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("block_attention_residuals", {"blocks": 3}),
        ("block_attention_residuals", {"blocks": 1}),
        ("mhc_lite", {"streams": 3}),
        ("identity_hyper_connections", {"streams": 2}),
        ("identity_hyper_connections", {"distinct": 0.3}),
        ("mhc_lite", {"distinct": 0.3}),
        ("frac_connections", {"parts": 2}),
    ],
)
def test_options_do_what_the_reference_does(name, options):
    for ours, theirs in outputs(name, "translation", REFERENCES[name], **options):
        assert close(ours, theirs)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("dense_former", {}),
        ("x0_lambdas", {"first_stream": 1.0, "last_stream": 1.0, "first_embedding": 0.0, "last_embedding": 0.0}),
        ("value_residual", {"share": 0.0}),
        ("frac_connections", {}),
    ],
)
def test_where_it_starts_as_pre_ln(name, options, tokens):
    with torch.no_grad():
        ours, pre_ln = (m.double()(**tokens) for m in (model_of(name, options=options), model_of("pre_ln")))
    assert torch.allclose(ours, pre_ln, rtol=0, atol=1e-12)


# -- attention residuals ----------------------------------------------------------------------------------------------


def traced(model, tokens):
    """The encoder's output and the streams that it recorded, for the embedding of the source."""
    trace = {}
    with torch.no_grad():
        out = model.encoder(model.embedding(tokens["source"]), tokens["source_mask"], trace=trace)
    return out, trace


@pytest.mark.parametrize("name", ATTENTION_RESIDUALS)
@pytest.mark.parametrize("depth", [3, 12])
def test_attention_residuals_start_as_the_mean_of_pre_ln(name, depth, tokens):
    """Of its embedding and outputs; the norms that read it remove the factor, so eps must be next to nothing."""
    norm = node("layer_norm", "norm", eps=1e-14)
    ours, pre_ln = (model_of(each, depth, 1, norm=norm).double() for each in (name, "pre_ln"))
    (out, trace), (expected, streams) = traced(ours, tokens), traced(pre_ln, tokens)
    assert torch.allclose(out, expected, rtol=0, atol=1e-6)
    last = f"{ours.encoder.sites[-1].name}/stream"
    sources = 1 + -(-2 * depth // ours.encoder.variant.block)
    assert torch.allclose(trace[last] * sources, streams[last], rtol=0, atol=1e-6)


def test_one_query_for_each_mix_starts_at_zero():
    """The first sub-layer reads the embedding alone and has none; the end of the stack has one."""
    for stack in model_of("attention_residuals", 3, 4).stacks:
        queries = {name: p for name, p in stack.named_parameters() if name.endswith("source_query")}
        assert len(queries) == len(stack.sites)
        assert not any(query.any() for query in queries.values())
        assert not hasattr(stack.sites[0], "source_query")


def test_attention_residuals_learn_to_read_one_source(tokens):
    """A long query along one source makes the mix that source."""
    model = model_of("attention_residuals", 3, 1).double()
    variant, site = model.encoder.variant, model.encoder.sites[4]
    sources = torch.randn(1, 1, 5, 16, dtype=torch.float64)
    site.source_query.data = 1e3 * variant.make_norm(16).double()(sources[0, 0, 2]).detach()
    assert torch.allclose(variant.mixed(sources, site), sources[..., 2, :])


@pytest.mark.parametrize(("depth", "blocks", "block"), [(3, 8, 1), (4, 8, 1), (6, 8, 2), (18, 8, 5), (18, 1, 36)])
def test_a_stack_has_at_most_so_many_blocks(depth, blocks, block):
    encoder = model_of("block_attention_residuals", depth, 1, options={"blocks": blocks}).encoder
    assert encoder.variant.block == block
    sources = encoder.variant.start_stream(torch.randn(1, 2, 16))
    for sites in encoder.sites_by_layer:
        sources = encoder.variant.layer(sources, sites)
    assert sources.shape[-2] == 1 + -(-2 * depth // block)


def test_no_block_at_all_is_refused():
    with pytest.raises(ConfigError, match=r"variant.blocks must be at least 1; got 0"):
        model_of("block_attention_residuals", options={"blocks": 0})


# -- weighted sums over depth -----------------------------------------------------------------------------------------


def test_lambdas_start_on_a_line_over_depth():
    variant = model_of("x0_lambdas", 3, 1).encoder.variant
    assert variant.of_stream.tolist() == pytest.approx([1.15, 1.10, 1.05])
    assert variant.of_embedding.tolist() == pytest.approx([0.2, 0.125, 0.05])
    assert model_of("x0_lambdas", 1, 1).encoder.variant.of_stream.tolist() == pytest.approx([1.15])


def test_every_layer_of_dense_former_starts_with_its_own_output():
    assert model_of("dense_former", 2, 1).encoder.variant.mix.tolist() == [[0, 1, 0], [0, 0, 1]]


# -- other sums -------------------------------------------------------------------------------------------------------


def test_span_norms_feed_forward_skips_the_attention():
    parts = {part.where: part.lines for part in graph(model_of("span_norm", 3, 4)) if part.stack == "decoder"}
    assert parts["layer 1"][0] == "h₁ = LN(x + A(LN(x)))"
    assert parts["layers 2–4"] == ("h₁ = LN(x + A(x))", "h₂ = LN(h₁ + C(h₁, memory))", "x ← LN(x + FFN(h₂))")


def test_an_orthogonal_update_adds_nothing_along_the_stream():
    for site in (model := model_of("orthogonal_update").double()).encoder.sites:
        x = torch.randn(2, 5, 16, dtype=torch.float64)
        added = model.encoder.variant.join(x, site) - x
        assert torch.allclose((added * x).sum(-1), torch.zeros(2, 5, dtype=torch.float64), atol=1e-12)
        assert added.norm() > 0.1
    zero = torch.zeros(2, 5, 16, dtype=torch.float64)
    assert model.encoder.variant.join(zero, site).isfinite().all()


@pytest.mark.parametrize(("bias", "left"), [(0.0, 0.0), (40.0, -1.0), (-40.0, 1.0)])
def test_a_delta_replaces_reflects_or_keeps(bias, left):
    """Of the stream's distance to v along k, β = 1 leaves nothing, 2 the opposite, 0 all of it."""
    model = model_of("deep_delta").double()
    for site in model.encoder.sites:
        site.beta_bias.data.fill_(bias)
        x = torch.randn(2, 5, 16, dtype=torch.float64)
        f = site.branch(site.norm(x))
        k = f / f.norm(dim=-1, keepdim=True)
        before, after = (((k * each).sum(-1) - 2) for each in (x, model.encoder.variant.join(x, site)))  # v = 4σ(0)
        assert torch.allclose(after, left * before, atol=1e-6)


# -- values of the first layer ----------------------------------------------------------------------------------------


def test_values_of_the_first_layer_are_not_kept(tokens):
    """Otherwise the last batch and its graph would stay in memory, and in every copy of the model."""
    model = model_of("value_residual")
    model(**tokens)
    assert all(not stack.variant.values for stack in model.stacks)


def test_first_values_have_a_gradient_from_all_layers(tokens):
    model = model_of("value_residual", 3, 1, options={"share": 1.0})
    model(**tokens).sum().backward()
    grads = [site.sublayer.value.weight.grad for site in model.encoder.sites if site.kind == "attention"]
    assert grads[0].abs().sum() > 0
    assert not any(grad.any() for grad in grads[1:])


# -- streams with constrained mixing ----------------------------------------------------------------------------------


def sums_of_the_product(name, noise):
    """How far row and column sums of the product of all mixings of 24 layers are from 1, after so much noise."""
    variant = (model := model_of(name, 24, 1, task="classification").double()).encoder.variant
    torch.manual_seed(0)
    product, h = torch.eye(4, dtype=torch.float64), torch.randn(2, 3, 4, 16, dtype=torch.float64)
    with torch.no_grad():
        for site in model.encoder.sites:
            site.mix += noise * torch.randn_like(site.mix)
            site.mix_of += noise * torch.randn_like(site.mix_of)
            product = product @ variant.weights(h, site)[1]
    assert (product >= 0).all()
    return max((product.sum(dim) - 1).abs().max().item() for dim in (-1, -2))


@pytest.mark.slow
def test_the_product_of_mixings_has_sums_of_one():
    """Over 24 layers: mhc near its start, mhc_lite anywhere, because Sinkhorn's 20 rounds need not be enough."""
    assert sums_of_the_product("mhc", 0.0) < 1e-3
    assert sums_of_the_product("mhc", 1.0) > 1e-3
    assert sums_of_the_product("mhc_lite", 1.0) < 1e-9


@pytest.mark.parametrize("name", ["mhc_lite", "identity_hyper_connections"])
def test_they_start_near_pre_ln_as_mhc_does(name, tokens):
    """With 4 streams: reading one of them with σ(4) = 0.982 and the others with 0.018."""
    norm = node("layer_norm", "norm", eps=1e-14)
    ours, pre_ln = (model_of(each, 3, 2, norm=norm).double() for each in (name, "pre_ln"))
    (out, _), (expected, _) = traced(ours, tokens), traced(pre_ln, tokens)
    assert torch.allclose(out, expected, rtol=0, atol=0.02)


def test_identity_hyper_connections_have_nothing_to_mix():
    model = model_of("identity_hyper_connections")
    assert not [name for name, _ in model.named_parameters() if "mix" in name]


@pytest.mark.parametrize("name", ["hyper_connections", "mhc", "mhc_lite", "identity_hyper_connections"])
def test_streams_start_apart_where_they_are_asked_to(name):
    """By patterns that are orthogonal, so that no stream is like another; the scales are learned."""
    plain, apart = (model_of(name, 1, 1, options=options).encoder.variant for options in ({}, {"distinct": 0.1}))
    assert plain.stream_scales is None
    assert apart.stream_scales.requires_grad
    scales = (apart.stream_scales.detach() - 1) / 0.1
    assert torch.allclose(scales @ scales.T / scales.shape[1], torch.eye(4), atol=1e-5)
    x = torch.randn(2, 3, scales.shape[1])
    spread = apart.start_stream(x) - plain.start_stream(x)
    assert torch.allclose(spread, 0.1 * scales * x[..., None, :], atol=1e-6)


def test_mhc_lite_has_no_more_streams_than_it_can_permute():
    with pytest.raises(ConfigError, match=r"^variant.streams must be at most 6; got 7$"):
        tiny_config("variant=mhc_lite", "variant.streams=7")
    assert len(model_of("mhc_lite", 1, 1, options={"streams": 6}).encoder.variant.all_permutations) == 720


# -- nGPT -------------------------------------------------------------------------------------------------------------


def norms_along_the_width(model):
    """Of every matrix: rows where it reads vectors of the stream or holds words, columns where it writes them."""
    found = {}
    for name, parameter in model.named_parameters():
        if parameter.ndim == 2:
            found[name] = parameter.norm(dim=0 if name.endswith(("out.weight", "fc2.weight")) else 1)
    return found


@pytest.mark.parametrize("task", ["translation", "classification"])
def test_matrices_of_ngpt_have_norm_1_always(task):
    trainer = golden.trainer_of(golden.tiny_run("ngpt", task))
    data = trainer.data()
    start = {name: parameter.clone() for name, parameter in trainer.model.named_parameters()}
    for _ in range(3):
        for name, norms in norms_along_the_width(trainer.model).items():
            assert torch.allclose(norms, torch.ones_like(norms), atol=1e-6), name
        batch = next(data)
        trainer.backward(batch)
        coming = trainer.probe_context(batch).updated_model()
        trainer.update()
        for (name, ours), theirs in zip(trainer.model.named_parameters(), coming.parameters(), strict=True):
            assert torch.allclose(ours, theirs, atol=1e-6), name
    moved = {n for n, p in trainer.model.named_parameters() if not torch.equal(p, start[n])}
    assert moved == set(start)
    assert not [name for name in start if ".sublayer." in name and name.endswith("bias")]


def test_what_predicts_has_a_scale_and_a_memory_has_not(tokens):
    model = model_of("ngpt")
    memory, trace = traced(model, tokens)
    assert torch.allclose(memory.norm(dim=-1), torch.ones(memory.shape[:2]), atol=1e-5)
    assert all(torch.allclose(x.norm(dim=-1), torch.ones(x.shape[:2]), atol=1e-5) for x in streams_of(trace))
    assert not hasattr(model.encoder.variant, "output_scale")
    model.decoder.variant.output_scale.data *= 3
    assert torch.allclose(model(**tokens), 3 * model_of("ngpt")(**tokens), rtol=1e-4, atol=1e-6)
    assert hasattr(model_of("ngpt", task="classification").encoder.variant, "output_scale")


def streams_of(trace):
    return [value for name, value in trace.items() if name.endswith("/stream")]


# -- MV-split ---------------------------------------------------------------------------------------------------------


def test_without_a_share_of_the_mean_the_stream_keeps_its_own(tokens):
    """The mean over the real tokens before the norm; padding has no part in it."""
    model = model_of("mv_split").double()
    read = {}
    for site in model.encoder.sites:
        site.norm.register_forward_pre_hook(lambda _, args, name=site.name: read.update({name: args[0]}))
    (out, trace), mask = traced(model, tokens), tokens["source_mask"]
    streams = streams_of(trace)
    assert torch.equal(streams[-1], out)
    for before, summed in zip(streams, read.values(), strict=False):
        for one, other, real in zip(before, summed, mask, strict=True):
            assert torch.allclose(one[real].mean(0), other[real].mean(0), atol=1e-12)
            assert not torch.allclose(one[real], other[real], atol=1e-3)


def test_a_decoder_of_mv_split_sees_no_later_token():
    decoder = model_of("mv_split", task="language_modelling", options={"mean": 0.5}).decoder
    x = torch.randn(2, 6, 16)
    changed = x.clone()
    changed[:, 4:] *= -1
    one, other = decoder(x), decoder(changed)
    assert torch.allclose(one[:, :4], other[:, :4], atol=1e-6)
    assert not torch.allclose(one[:, 4:], other[:, 4:], atol=1e-2)


# -- Frac-Connections -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_parts_must_divide_the_width():
    with pytest.raises(ConfigError, match=r"^variant\.parts must divide model\.width = 16; got 3$"):
        model_of("frac_connections", options={"parts": 3})
    with pytest.raises(ConfigError, match=r"^variant\.parts must divide model\.width = 64; got 5$"):
        config_of("variant=frac_connections", "variant.parts=5")
