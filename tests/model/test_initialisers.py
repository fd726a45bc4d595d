"""Initial weights have the variance that the scheme says, matrix by matrix."""

import inspect
import math

import pytest
import torch

from normexp.config.choice import Choice
from normexp.config.compose import Composer
from normexp.errors import ConfigError
from normexp.views.show import describe
from tests.support.configs import small_config
from tests.support.models import built, model_of, node
from tests.support.runs import tiny_config

INITS = {
    "xavier_uniform": (
        {"_target_": "normexp.model.initialisers.XavierUniform", "gain": 1.0},
        lambda out, into: 2 / (out + into),
    ),
    "torch_default": ({"_target_": "normexp.model.initialisers.TorchDefault"}, lambda out, into: 1 / (3 * into)),
    "normal": ({"_target_": "normexp.model.initialisers.Normal", "std": 0.02}, lambda out, into: 0.0004),
    "xavier_normal": (
        {"_target_": "normexp.model.initialisers.XavierNormal", "gain": 1.0},
        lambda out, into: 2 / (out + into),
    ),
}


@pytest.mark.parametrize("name", INITS)
def test_variance_of_every_matrix(name):
    init, variance = INITS[name]
    size = {"width": 128, "feed_forward": 512, "encoder_depth": 1, "decoder_depth": 1}
    model = built(small_config(init={"name": name, **init}, model=size), vocabulary=200)
    matrices = [(n, m) for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)]
    assert len(matrices) == 4 + 2 + 8 + 2
    for n, m in matrices:
        assert m.weight.var().item() == pytest.approx(variance(*m.weight.shape), rel=0.05), n
        zero_bias = name != "torch_default"
        assert (m.bias.abs().max() == 0) == zero_bias, n
    assert model.embedding.words.weight.var().item() == pytest.approx(1 / 128, rel=0.05)


def test_learned_positions_start_like_words():
    model = built(small_config(model={"positions": "learned", "width": 128}), vocabulary=20)
    assert model.embedding.positions.var().item() == pytest.approx(1 / 128, rel=0.05)


# -- inits that depend on the place of a matrix ----------------------------------------------------------------------

ENCODER_DEPTH, DECODER_DEPTH = 3, 5


def xavier(out: int, into: int) -> float:
    return math.sqrt(2 / (out + into))


def gpt2(stack: str, layer: int, role: str, out: int, into: int) -> float:
    branches = 2 * 3 if stack == "encoder" else 3 * 5
    return 0.02 / math.sqrt(branches) if role in ("out", "fc2") else 0.02


def small(stack: str, layer: int, role: str, out: int, into: int) -> float:
    return xavier(out, into) if role.startswith("fc") else math.sqrt(2 / (5 * 64))


def ds_init(stack: str, layer: int, role: str, out: int, into: int) -> float:
    return math.sqrt(6 / (out + into)) / math.sqrt(layer) / math.sqrt(3)  # of U(−a, a): a/√3


def post_ln_init(stack: str, layer: int, role: str, out: int, into: int) -> float:
    return xavier(out, into) / ((3 if stack == "encoder" else 5) - layer + 1)


def uniform_attention(stack: str, layer: int, role: str, out: int, into: int) -> float:
    return 0.0 if role in ("query", "key") else xavier(out, into)


def deep_scale(stack: str, layer: int, role: str, out: int, into: int) -> float:
    """Without dropout; r of the first three layers worked out from the authors' recursion with β² = 1/depth."""
    if role in ("query", "key"):
        return 1 / 8
    if role in ("fc1", "fc2"):
        return (2 / (64 * 192)) ** 0.25
    return ALIKE[stack][layer - 1] ** -0.25 / 8


ALIKE = {
    "encoder": [0.221, 0.519170, 0.697909],
    "decoder": [0.221, 0.523144, 0.705094, 0.816230, 0.884822],
    "decoder cross": [0.376800, 0.618515, 0.764075, 0.852984, 0.907858],
}
BY_PLACE = {
    "deep_scale": deep_scale,
    "gpt2": gpt2,
    "small": small,
    "ds_init": ds_init,
    "post_ln_init": post_ln_init,
    "uniform_attention": uniform_attention,
}


def test_every_init_is_tested():
    assert sorted([*INITS, *BY_PLACE]) == sorted(Composer("train").options("init"))


@pytest.mark.parametrize("name", [*INITS, *BY_PLACE])
def test_its_yaml_says_its_defaults(name):
    options = {k: v for k, v in node(name, "init").items() if k not in ("name", "_target_")}
    parameters = inspect.signature(Choice.of("init", node(name, "init")).cls).parameters
    assert options == {k: p.default for k, p in parameters.items()}


@pytest.mark.parametrize("name", BY_PLACE)
def test_deviation_of_every_matrix_at_its_place(name):
    size = {"width": 64, "feed_forward": 192, "encoder_depth": ENCODER_DEPTH, "decoder_depth": DECODER_DEPTH}
    model = built(small_config(init=node(name, "init"), model=size), vocabulary=200)
    seen = 0
    for stack in model.stacks:
        for site in stack.sites:
            for role in ("query", "key", "value", "out", "fc1", "fc2"):
                if (linear := getattr(site.sublayer, role, None)) is not None:
                    place = stack.shape.stack + " cross" * (site.kind == "cross_attention")
                    expected = BY_PLACE[name](place, site.layer, role, *linear.weight.shape)
                    assert linear.weight.std().item() == pytest.approx(expected, rel=0.05), (site.name, role)
                    assert linear.bias.abs().max() == 0
                    seen += 1
    assert seen == 3 * 6 + 5 * 10
    assert model.embedding.words.weight.var().item() == pytest.approx(1 / 64, rel=0.05)


def test_ds_init_is_uniform_and_the_others_normal():
    size = {"width": 128, "encoder_depth": 2, "decoder_depth": 2}
    for name, widest in (("ds_init", math.sqrt(3)), ("post_ln_init", 3.5), ("small", 3.5), ("gpt2", 3.5)):
        weight = built(small_config(init=node(name, "init"), model=size), 20).encoder.sites[2].sublayer.query.weight
        largest = (weight.abs().max() / weight.std()).item()
        assert largest == pytest.approx(widest, rel=0.01) if name == "ds_init" else largest > widest


def test_ds_inits_alpha_scales_every_layer():
    half, whole = (built(small_config(init=node("ds_init", "init") | {"alpha": a}), 20) for a in (0.5, 1.0))
    for a, b in zip(half.encoder.sites, whole.encoder.sites, strict=True):
        assert all(torch.allclose(p, b.sublayer.get_parameter(k) / 2) for k, p in a.sublayer.named_parameters())


def test_an_encoder_on_its_own_counts_two_branches_a_layer():
    config = small_config(init=node("gpt2", "init"), task={"name": "classification"}, model={"width": 128})
    out = built(config).encoder.sites[0].sublayer.out.weight
    assert out.std().item() == pytest.approx(0.02 / math.sqrt(6), rel=0.05)


def test_a_variants_gain_and_the_inits_factor_multiply():
    plain, scaled = (model_of(name, init=node("post_ln_init", "init")) for name in ("post_ln", "t_fixup"))
    a, b = (m.encoder.sites[0].sublayer.value.weight for m in (scaled, plain))
    assert torch.allclose(a, 0.67 * 3**-0.25 * b)


@pytest.mark.slow
def test_show_prints_the_inits_factors():
    shown = describe(tiny_config("depth=4", "init=post_ln_init"))
    assert "decoder cross_attention fc1" not in shown
    assert "encoder attention query: initial weights × 0.25 to 1" in shown


@pytest.mark.parametrize(
    ("value", "sentence"),
    [("0", "init.alike must be greater than 0; got 0"), ("1.5", "init.alike must be at most 1; got 1.5")],
)
def test_a_correlation_of_tokens_is_a_correlation(value, sentence):
    with pytest.raises(ConfigError, match=f"^{sentence}$"):
        tiny_config("variant=deep_scale", "init=deep_scale", f"init.alike={value}")
