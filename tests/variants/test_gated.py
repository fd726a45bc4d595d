"""Gated and norm-free variants: where they start, how their constants depend on depth, what their gradients do."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from normexp.config.choice import Choice
from normexp.model.variant import StackShape
from normexp.probes.graph import graph
from tests.support.models import TORCH_DEFAULT, model_of, node
from tests.support.runs import tiny_config

NAMES = ["re_zero", "skip_init", "layer_scale", "fixup", "t_fixup"]
ROLES = ("query", "key", "value", "out", "fc1", "fc2")


def variant(name: str, stack: str, encoder_depth: int, decoder_depth: int) -> Any:
    shape = StackShape(stack, encoder_depth, decoder_depth, width=8, heads=2, feed_forward=16)
    return Choice.of("variant", node(name)).build(shape, nn.LayerNorm)


def loss(of: Any, tokens: dict[str, Tensor]) -> Tensor:
    return of(**tokens)[..., 3].sum()


def idle(of: Any) -> set[str]:
    """Parameters with no gradient, keys' biases aside: these never have one."""
    return {
        name for name, p in of.named_parameters()
        if not name.endswith("key.bias") and (p.grad is None or not p.grad.abs().sum() > 0)
    }  # fmt: skip


# -- the start -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["re_zero", "skip_init", "fixup"])
def test_the_stack_starts_as_the_identity(name, tokens):
    for stack in model_of(name).stacks:
        x = torch.randn(3, 7, 16)
        assert torch.equal(stack(x, tokens["source_mask"], x, tokens["source_mask"]), x)


@pytest.mark.parametrize("name", ["re_zero", "skip_init"])
def test_the_scalars_alone_learn_at_the_first_step(name, tokens):
    one = model_of(name)
    loss(one, tokens).backward()
    learning = {n for n, p in one.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    # The decoder is the identity at first, so that nothing comes back to the encoder either.
    decoder = {n for n, _ in one.named_parameters() if n.startswith("decoder") and n.endswith("alpha")}
    assert learning == {"embedding.words.weight"} | decoder


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("task", ["translation", "classification"])
def test_after_a_few_steps_everything_learns(name, task, tokens):
    one = model_of(name, task=task)
    optimizer = torch.optim.Adam(one.parameters(), lr=1e-2)
    inputs = tokens if task == "translation" else {k: tokens[k] for k in ("source", "source_mask")}
    for _ in range(6):
        optimizer.zero_grad()
        one(**inputs).logsumexp(-1).sum().backward()
        optimizer.step()
    assert idle(one) == set()


@pytest.mark.parametrize("name", NAMES)
def test_the_identity_path_carries_the_gradient(name):
    """With F = 0 the stream's gradient is the output's, but for what closes the stack."""
    stack = model_of(name).encoder
    for site in stack.sites:
        site.branch = lambda x: torch.zeros_like(x)
    x = torch.randn(2, 3, 16, requires_grad=True)
    stream = stack.variant.start_stream(x)
    for sites in stack.sites_by_layer:
        stream = stack.variant.layer(stream, sites)
    stream.backward(torch.ones_like(stream))
    assert torch.equal(x.grad, torch.ones_like(x))


# -- ReZero and SkipInit -------------------------------------------------------------------------------------------


def test_re_zero_has_one_scalar_a_layer():
    one = model_of("re_zero", encoder_depth=3, decoder_depth=4)
    for stack in one.stacks:
        scalars = [p for n, p in stack.named_parameters() if n.endswith("alpha")]
        assert len(scalars) == stack.shape.depth
        for sites in stack.sites_by_layer:
            assert all(site.alpha is sites[0].alpha for site in sites)


def test_re_zero_stays_shared_through_training_and_a_checkpoint(tokens):
    one = model_of("re_zero").double()
    torch.optim.SGD(one.parameters(), lr=0.1).zero_grad()
    loss(one, tokens).backward()
    alphas = [p for n, p in one.named_parameters() if n.endswith("alpha")]
    for alpha in alphas:
        alpha.data += 0.5
    other = model_of("re_zero").double()
    other.load_state_dict(one.state_dict())
    assert torch.equal(other(**tokens), one(**tokens))
    assert all(site.alpha is sites[0].alpha for sites in other.decoder.sites_by_layer for site in sites)


def test_re_zero_per_sublayer_is_skip_init(tokens):
    apart, skip = model_of("re_zero", options={"per_sublayer": True}), model_of("skip_init")
    torch.manual_seed(0)
    values = {n: torch.randn(()) for n, _ in skip.named_parameters() if n.endswith("alpha")}
    assert len(values) == 2 * 3 + 3 * 3
    for one in (apart, skip):
        for name, value in values.items():
            one.get_parameter(name).data.copy_(value)
    assert torch.equal(apart(**tokens), skip(**tokens))


def test_skip_init_has_a_start():
    sites = model_of("skip_init", options={"start": 0.25}).decoder.sites
    assert {site.alpha.item() for site in sites} == {0.25}


# -- LayerScale ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("depth", "start"), [(1, 0.1), (12, 0.1), (18, 0.1), (19, 1e-5), (24, 1e-5), (25, 1e-6), (36, 1e-6), (48, 1e-6)]
)
def test_layer_scale_starts_by_the_depth_of_its_own_stack(depth, start):
    assert variant("layer_scale", "encoder", depth, 30).start == start
    assert variant("layer_scale", "decoder", 30, depth).start == start


def test_layer_scales_gain_is_a_vector_with_an_optional_start():
    for options, start in (({}, 0.1), ({"start": 0.5}, 0.5)):
        for site in model_of("layer_scale", options=options).decoder.sites:
            assert torch.equal(site.gain, torch.full((16,), start))


def test_layer_scale_of_ones_is_pre_ln(tokens):
    ours, pre = model_of("layer_scale", options={"start": 1.0}), model_of("pre_ln")
    assert torch.equal(ours(**tokens), pre(**tokens))


# -- Fixup ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoder_depth", "decoder_depth", "branches"),
    [(6, 6, 30), (3, 4, 18), (4, 3, 17), (18, 6, 54), (1, 1, 5), (6, 0, 12), (0, 6, 12)],
)
def test_fixup_counts_the_branches_of_the_whole_model(encoder_depth, decoder_depth, branches):
    for stack in ("encoder", "decoder"):
        one = variant("fixup", stack, encoder_depth, decoder_depth)
        assert one.branches == branches
        gains = {role: one.init_scale(None, role) for role in (*ROLES, "embedding", "head")}
        third = branches ** (-1 / 6)
        assert gains == pytest.approx(
            {"query": third, "key": third, "value": third, "out": 0, "fc1": 1 / math.sqrt(branches), "fc2": 0,
             "embedding": 1, "head": 0}
        )  # fmt: skip


def test_fixup_scales_by_role_and_no_bias():
    size = {"encoder_depth": 3, "decoder_depth": 4}
    ours, plain = model_of("fixup", **size).state_dict(), model_of("post_ln", **size).state_dict()
    factors = {"query": 18 ** (-1 / 6), "key": 18 ** (-1 / 6), "value": 18 ** (-1 / 6), "fc1": 18**-0.5}
    for key, value in plain.items():
        role, _, kind = key.rpartition(".")
        if "sublayer" in key and kind == "weight":
            assert torch.allclose(ours[key], factors.get(role.rpartition(".")[2], 0.0) * value), key
    assert torch.equal(ours["embedding.words.weight"], plain["embedding.words.weight"])


def test_fixup_never_scales_a_bias():
    models = (model_of(name, init=TORCH_DEFAULT) for name in ("fixup", "post_ln"))
    ours, theirs = (model.decoder.sites[0].sublayer.out.bias for model in models)
    assert torch.equal(ours, theirs)
    assert ours.abs().max() > 0


def test_fixup_starts_an_untied_head_at_zero(tokens):
    """A tied one is the embedding and cannot start at zero."""
    assert model_of("fixup", model={"tied": False}).head.weight.abs().max() == 0
    assert model_of("fixup", task="classification").head.weight.abs().max() == 0
    tied = model_of("fixup")
    tied(**tokens).logsumexp(-1).sum().backward()
    ends = [site.sublayer.fc2 if site.kind == "feed_forward" else site.sublayer.out for site in tied.decoder.sites]
    assert all(linear.weight.abs().max() == 0 and linear.weight.grad.abs().max() > 0 for linear in ends)


def test_fixup_has_its_scalars_where_the_code_has_them():
    for stack in model_of("fixup").stacks:
        for site in stack.sites:
            slots = {slot: type(module).__name__ for slot, module in site.sublayer.inside.items()}
            shifts = ["input", "hidden", "before_fc2"] if site.kind == "feed_forward" else ["input"]
            assert slots == dict.fromkeys(shifts, "Shift") | {"output": "Multiplier"}
            starts = {slot: next(module.parameters()).item() for slot, module in site.sublayer.inside.items()}
            assert starts == dict.fromkeys(shifts, 0.0) | {"output": 1.0}
    encoder, decoder = model_of("fixup").stacks
    assert [n for n, _ in encoder.variant.named_parameters()] == ["end.0.bias", "end.1.scale"]
    assert [n for n, _ in decoder.variant.named_parameters()] == ["end.0.bias"]


# -- T-Fixup -------------------------------------------------------------------------------------------------------

# 0.67 N^(−1/4), (9M)^(−1/4), (9N)^(−1/4), by hand: the roots of 3, 6, 12, 18 are 1.316074, 1.565085, 1.861210,
# 2.059767; of 27, 36, 54, 108, 162: 2.279507, 2.449490, 2.710806, 3.223710, 3.567621.
T_FIXUP = [
    (6, 6, 0.4280921, 0.3688940, 0.3688940),
    (12, 6, 0.3599809, 0.3688940, 0.3102016),
    (6, 12, 0.4280921, 0.3102016, 0.3688940),
    (3, 4, 0.5090899, 0.4082483, 0.4386913),
    (18, 18, 0.3252795, 0.2802988, 0.2802988),
]


@pytest.mark.parametrize(("encoder_depth", "decoder_depth", "encoder", "decoder", "embedding"), T_FIXUP)
def test_t_fixup_has_the_papers_constants(encoder_depth, decoder_depth, encoder, decoder, embedding):
    for stack, matrix in (("encoder", encoder), ("decoder", decoder)):
        one = variant("t_fixup", stack, encoder_depth, decoder_depth)
        gains = {role: one.init_scale(None, role) for role in (*ROLES, "head")}
        scaled = dict.fromkeys(("value", "out", "fc1", "fc2"), matrix)
        assert gains == pytest.approx(scaled | {"query": 1, "key": 1, "head": 1}, rel=1e-6)
    first = variant("t_fixup", "encoder", encoder_depth, decoder_depth)
    assert first.init_scale(None, "embedding") == pytest.approx(embedding, rel=1e-6)


def test_t_fixup_of_one_stack_uses_that_stacks_depth():
    alone = variant("t_fixup", "encoder", 6, 0)
    assert (alone.init_scale(None, "value"), alone.init_scale(None, "embedding")) == pytest.approx(
        (0.4280921, 0.3688940)
    )
    decoder = variant("t_fixup", "decoder", 0, 6)
    assert (decoder.init_scale(None, "value"), decoder.init_scale(None, "embedding")) == pytest.approx(
        (0.3688940, 0.3688940)
    )


def test_t_fixup_scales_by_role_and_the_embedding_once():
    """Encoder and decoder share the embedding; its factor is the encoder's."""
    size = {"encoder_depth": 3, "decoder_depth": 4}
    ours, plain = model_of("t_fixup", **size), model_of("post_ln", **size)
    for stack, twin, factor in zip(ours.stacks, plain.stacks, (0.5090899, 0.4082483), strict=True):
        for site, other in zip(stack.sites, twin.sites, strict=True):
            for role in ROLES:
                if hasattr(site.sublayer, role):
                    a, b = (getattr(s.sublayer, role).weight for s in (site, other))
                    assert torch.allclose(a, b * (1 if role in ("query", "key") else factor)), (site.name, role)
    assert torch.allclose(ours.embedding.words.weight, 0.4386913 * plain.embedding.words.weight)


# -- what is shown -------------------------------------------------------------------------------------------------

GATED = "h₁ = x + {a}·A({b}x{e}) | x ← h₁ + {a}·FFN({b}h₁{e})"
GRAPHS = {
    "re_zero": (GATED.format(a="alpha", b="", e=""), "output = x"),
    "skip_init": (GATED.format(a="alpha", b="", e=""), "output = x"),
    "layer_scale": (GATED.format(a="gain", b="LN(", e=")"), "output = LN(x)"),
    "t_fixup": ("h₁ = x + A(x) | x ← h₁ + FFN(h₁)", "output = x"),
    "fixup": (
        "h₁ = x + A(x) | x ← h₁ + FFN(h₁) | inside A: Shift at input | inside A: Multiplier at output"
        " | inside FFN: Shift at input | inside FFN: Shift at hidden | inside FFN: Shift at before_fc2"
        " | inside FFN: Multiplier at output",
        "output = scale·(x + bias)",
    ),
}


@pytest.mark.parametrize("name", NAMES)
def test_the_graph_is_the_papers(name):
    encoder = [part for part in graph(model_of(name)) if part.stack == "encoder"]
    assert [part.where for part in encoder] == ["layers 1–3", "closes"]
    assert [" | ".join(part.lines) for part in encoder] == list(GRAPHS[name])


@pytest.mark.parametrize("name", NAMES)
def test_without_a_norm_setting_one_is_an_error(name):
    norms = [m for m in model_of(name).modules() if isinstance(m, nn.LayerNorm) or hasattr(m, "symbol")]
    assert bool(norms) == (name == "layer_scale")
    if name != "layer_scale":
        with pytest.raises(ValueError, match=f"norm is not used by variant={name}"):
            tiny_config(f"variant={name}", "norm=rms_norm")
