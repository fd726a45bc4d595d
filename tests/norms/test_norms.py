"""Every normaliser computes its formula, starts as its class says, and keeps padding out of what it pools."""

import copy
import gc
import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from normexp import norms
from normexp.config.choice import Choice
from normexp.config.compose import Composer
from normexp.data.corpus import load_corpus
from normexp.errors import ConfigError
from normexp.model.variant import Context
from normexp.training.trainer import Trainer
from normexp.views.show import describe
from tests.support.configs import config_of
from tests.support.models import node, pre_ln_under
from tests.support.runs import TINY, tiny_config
from tests.support.steps import take_step

WIDTH = 6
NORMS = sorted(Composer("train").options("norm"))
POOLED = ["batch_norm", "instance_norm", "power_norm"]
CAUSAL = [name for name in NORMS if name != "instance_norm"]


def resolved(task: str, *line: str) -> dict[str, Any]:
    """A tiny run's config for either task."""
    small = TINY if task == "translation" else [word for word in TINY if not word.startswith(("data.", "record."))]
    return config_of(*small, f"task={task}", *line)


def norm_of(name: str) -> Any:
    """A new norm of the width of these tests, with the options of its YAML."""
    return Choice.of("norm", node(name, "norm")).build(WIDTH)


def moved(norm: nn.Module) -> nn.Module:
    """The norm in float64 with its parameters off their start, the same ones at every call."""
    torch.manual_seed(1)
    for parameter in norm.double().parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return norm


@pytest.fixture
def x() -> Tensor:
    """batch, token, width; neither centred nor of unit variance."""
    return 1.5 * torch.randn(3, 5, WIDTH, generator=torch.Generator().manual_seed(0)).double() + 0.7


@pytest.fixture
def mask() -> Tensor:
    mask = torch.ones(3, 5, dtype=torch.bool)
    mask[1, 3:] = mask[2, 1:] = False
    return mask


def standardised(x: Tensor, dims: Any, eps: float) -> Tensor:
    mean = x.mean(dims, keepdim=True)
    return (x - mean) / ((x - mean).pow(2).mean(dims, keepdim=True) + eps).sqrt()


FORMULAS: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "layer_norm": lambda n, x: n.weight * standardised(x, -1, 1e-5) + n.bias,
    "rms_norm": lambda n, x: n.weight * x / (x.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt(),
    "scale_norm": lambda n, x: n.scale * x / x.pow(2).sum(-1, keepdim=True).sqrt(),
    "ada_norm": lambda n, x: (lambda z: (1 - 0.1 * z) * z)(
        (x - x.mean(-1, keepdim=True)) / ((x - x.mean(-1, keepdim=True)).pow(2).sum(-1, keepdim=True) / 5).sqrt()
    ),
    "dyt": lambda n, x: n.weight * torch.tanh(n.alpha * x) + n.bias,
    "none": lambda n, x: x,
    "batch_norm": lambda n, x: n.weight * standardised(x, (0, 1), 1e-5) + n.bias,
    "instance_norm": lambda n, x: n.weight * standardised(x, 1, 1e-5) + n.bias,
    "power_norm": lambda n, x: n.weight * (u := x / x.pow(2).mean(-1, keepdim=True).sqrt())
    / u.pow(2).mean((0, 1)).sqrt() + n.bias,
}  # fmt: skip
STARTS = {
    "layer_norm": {"weight": 1, "bias": 0},
    "rms_norm": {"weight": 1},
    "scale_norm": {"scale": 6**0.5},
    "ada_norm": {},
    "dyt": {"alpha": 0.5, "weight": 1, "bias": 0},
    "none": {},
    "batch_norm": {"weight": 1, "bias": 0},
    "instance_norm": {"weight": 1, "bias": 0},
    "power_norm": {"weight": 1, "bias": 0},
}
SCALARS = ("scale", "alpha")


@pytest.mark.parametrize("name", NORMS)
def test_it_is_its_formula(name, x):
    norm = moved(norm_of(name))
    assert torch.allclose(norm(x), FORMULAS[name](norm, x), rtol=1e-4, atol=1e-4 if name == "power_norm" else 1e-5)


@pytest.mark.parametrize("name", NORMS)
def test_it_starts_as_it_says(name):
    norm = norm_of(name)
    found = dict(norm.named_parameters())
    assert set(found) == set(STARTS[name])
    for key, start in STARTS[name].items():
        assert found[key].shape == (() if key in SCALARS else (WIDTH,))
        assert torch.allclose(found[key], torch.tensor(float(start)))


@pytest.mark.parametrize("name", NORMS)
def test_its_yaml_says_its_defaults(name):
    options = {k: v for k, v in node(name, "norm").items() if k not in ("name", "_target_")}
    parameters = inspect.signature(Choice.of("norm", node(name, "norm")).cls).parameters
    assert options == {k: p.default for k, p in parameters.items() if k != "width"}


@pytest.mark.parametrize("name", NORMS)
def test_half_precision_goes_in_and_numbers_come_out(name):
    norm = norm_of(name)
    with torch.autocast("cpu", torch.bfloat16):
        x = nn.Linear(WIDTH, WIDTH)(torch.randn(3, 5, WIDTH))
        norm(x).float().sum().backward()
    assert norm(x).isfinite().all()


def test_scale_norm_has_length_g_and_survives_zero(x):
    norm = norms.ScaleNorm(WIDTH).double()
    assert torch.allclose(norm(x).norm(dim=-1), torch.tensor(6.0).double().sqrt())
    assert norm(torch.zeros(1, 1, WIDTH)).abs().max() == 0


def test_ada_norm_sends_no_gradient_through_its_factor(x):
    theirs, ours = (x.clone().requires_grad_() for _ in range(2))
    z = (theirs - theirs.mean(-1, keepdim=True)) / (theirs.std(-1, keepdim=True) + 1e-5)
    weight = torch.linspace(-1, 2, WIDTH).double()
    (((1 - 0.1 * z).detach() * z) * weight).sum().backward()
    (norms.AdaNorm(WIDTH)(ours) * weight).sum().backward()
    assert torch.allclose(ours.grad, theirs.grad)
    double = norms.AdaNorm(WIDTH, scale=2.0)(x)
    assert torch.allclose(double, 2 * norms.AdaNorm(WIDTH)(x))


# -- torch.nn's own ------------------------------------------------------------------------------------------------


def twin(name: str) -> tuple[nn.Module, nn.Module, bool]:
    """(ours, torch's, whether torch's wants the width before the tokens), with the same weights."""
    theirs = {
        "layer_norm": nn.LayerNorm(WIDTH),
        "rms_norm": nn.RMSNorm(WIDTH, eps=1e-6),
        "batch_norm": nn.BatchNorm1d(WIDTH),
        "instance_norm": nn.InstanceNorm1d(WIDTH, affine=True),
    }[name]
    ours = moved(norm_of(name))
    theirs.double().load_state_dict(ours.state_dict(), strict=False)
    return ours, theirs, name in POOLED


@pytest.mark.parametrize("name", ["layer_norm", "rms_norm", "batch_norm", "instance_norm"])
def test_it_equals_torchs_own_in_training_and_evaluation(name, x):
    ours, theirs, turned = twin(name)

    def expected(x: Tensor) -> Tensor:
        return theirs(x.transpose(1, 2)).transpose(1, 2) if turned else theirs(x)

    for step in range(3):
        a, b = ((x + step).requires_grad_() for _ in range(2))
        out, wanted = ours(a), expected(b)
        assert torch.allclose(out, wanted, rtol=0, atol=1e-12)
        (out * x).sum().backward()
        (wanted * x).sum().backward()
        assert torch.allclose(a.grad, b.grad, rtol=0, atol=1e-12)
    for (key, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(p.grad, q.grad, rtol=0, atol=1e-10), key
    state = theirs.state_dict()
    assert all(torch.allclose(value, state[key], rtol=1e-12) for key, value in ours.state_dict().items())
    ours.eval(), theirs.eval()
    assert torch.allclose(ours(x), expected(x), rtol=0, atol=1e-12)


# -- padding -------------------------------------------------------------------------------------------------------


def seeing(norm: Any, mask: Tensor | None, memory_mask: Tensor | None = None) -> Any:
    norm.bind(Context(mask=mask, memory_mask=memory_mask))
    return norm


def test_batch_norm_is_torchs_over_the_real_tokens_alone(x, mask):
    ours, theirs, _ = twin("batch_norm")
    seeing(ours, mask)
    for step in range(2):
        assert torch.allclose(ours(x + step)[mask], theirs((x + step)[mask]), rtol=0, atol=1e-12)
    assert torch.allclose(ours.running_var, theirs.running_var)
    ours.eval(), theirs.eval()
    assert torch.allclose(ours(x)[mask], theirs(x[mask]), rtol=0, atol=1e-12)


def test_instance_norm_is_torchs_over_each_texts_real_tokens(x, mask):
    ours, theirs, _ = twin("instance_norm")
    out = seeing(ours, mask)(x)
    for row, real in enumerate(mask.sum(1).tolist()):
        expected = theirs(x[row, :real].T[None])[0].T if real > 1 else ours.bias[None]
        assert torch.allclose(out[row, :real], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", POOLED)
def test_padding_changes_nothing(name, training, x, mask):
    outs, grads, states = [], [], []
    for padding in (0.0, 100.0):
        norm = seeing(moved(norm_of(name)), mask).train(training)
        filled = torch.where(mask[..., None], x, padding).requires_grad_()
        for _ in range(2):
            out = norm(filled)[mask]
            (grad,) = torch.autograd.grad((out * torch.linspace(-1, 2, WIDTH)).sum(), filled)
        outs.append(out), grads.append(grad), states.append(norm.state_dict())
    assert torch.allclose(*outs)
    assert torch.allclose(grads[0][mask], grads[1][mask])
    assert grads[0][~mask].abs().max() == 0
    assert all(torch.allclose(value, states[1][key]) for key, value in states[0].items())


@pytest.mark.parametrize("name", POOLED)
def test_split_heads_and_several_streams_pool_over_their_tokens(name, x, mask):
    one = seeing(moved(norm_of(name)), mask)
    heads, streams = copy.deepcopy(one), copy.deepcopy(one)
    heads.token_dim = 2  # as attention sets it
    expected = one(x)[mask]
    assert torch.allclose(heads(torch.stack([x, x], dim=1))[:, 1][mask], expected)
    assert torch.allclose(streams(torch.stack([x, x], dim=2))[:, :, 1][mask], expected)


# -- PowerNorm -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("warmup", [0, 2, 10])
def test_power_norm_follows_the_authors_recurrences(warmup, x, mask):
    """A forward and a backward of their code, written down as formulas over the real tokens of four steps."""
    norm = seeing(moved(norms.PowerNorm(WIDTH, warmup=warmup, forward_decay=0.8, backward_decay=0.7)), mask)
    w, b, eps = norm.weight.detach(), norm.bias.detach(), 1e-5
    psi2, ema = torch.ones(WIDTH).double(), torch.zeros(WIDTH).double()
    for step in range(1, 5):
        raw = (x * step)[mask].requires_grad_()
        u = raw / (raw.pow(2).mean(-1, keepdim=True) + eps).sqrt()
        batch2 = u.detach().pow(2).mean(0)
        z = u.detach() / ((batch2 if step <= warmup else psi2) + eps).sqrt()
        towards = torch.sin(torch.arange(z.numel())).double().view_as(z)
        gradient = towards * w - (1 - 0.7) * ema * z
        ema = ema + (gradient * z).mean(0)
        (theirs,) = torch.autograd.grad(u, raw, gradient / (batch2 + eps).sqrt())
        if step < warmup:
            psi2 = psi2 * (step - 1) / step + batch2 / step
        psi2 = 0.8 * psi2 + 0.2 * batch2

        given = (x * step).requires_grad_()
        out = norm(given)
        assert torch.allclose(out[mask], w * z + b, rtol=0, atol=1e-12)
        norm.zero_grad()
        out[mask].backward(towards)
        assert torch.allclose(given.grad[mask], theirs, rtol=0, atol=1e-12)
        assert given.grad[~mask].abs().max() == 0
        assert torch.allclose(norm.weight.grad, (towards * z).sum(0))
        assert torch.allclose(norm.running, psi2)
        assert torch.allclose(norm.nu, (1 - 0.7) * ema)
    norm.eval()
    u = x / (x.pow(2).mean(-1, keepdim=True) + eps).sqrt()
    assert torch.allclose(norm(x), w * u / (psi2 + eps).sqrt() + b)
    assert norm.forwards == 4


def test_power_norms_running_gradient_share_is_the_papers(x):
    """ν ← ν (1 − (1 − a) Γ) + (1 − a) Λ, with Γ = mean(z²) and Λ = mean(∂L/∂z · z)."""
    norm = norms.PowerNorm(WIDTH, warmup=0).double()
    nu, psi2 = torch.zeros(WIDTH).double(), torch.ones(WIDTH).double()
    for _ in range(3):
        u = x / (x.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt()
        z = u / (psi2 + 1e-5).sqrt()
        psi2 = 0.9 * psi2 + 0.1 * u.pow(2).mean((0, 1))
        nu = nu * (1 - 0.1 * z.pow(2).mean((0, 1))) + 0.1 * (x.cos() * z).mean((0, 1))
        norm(x.clone().requires_grad_()).backward(x.cos())
    assert torch.allclose(norm.nu, nu)


# -- in a model ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attention_norm", ["none", "qkv", "qk_whole"])
@pytest.mark.parametrize("name", CAUSAL)
def test_padding_changes_no_real_logit_in_training(name, attention_norm, tokens):
    real = torch.ones(3, 5, dtype=torch.bool)
    real[0, 3:] = False
    outs = []
    for padding in (4, 9):
        source = torch.where(tokens["source_mask"], tokens["source"], padding)
        target = torch.where(real, tokens["target"], padding)
        one = pre_ln_under(name, attention_norm=attention_norm).train()
        outs.append(one(source, tokens["source_mask"], target, target_mask=real)[real])
    assert torch.allclose(*outs)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", CAUSAL)
def test_later_tokens_are_seen_only_as_noted(name, training, tokens):
    """Only under a norm with a causality_note, and only in training."""
    one = pre_ln_under(name).train(training)
    before = one(**tokens)
    tokens["target"][:, 3] = 19 - tokens["target"][:, 3]
    one = pre_ln_under(name).train(training)
    leaks = not torch.allclose(before[:, :3], one(**tokens)[:, :3])
    assert leaks == (training and bool(Choice.of("norm", node(name, "norm")).cls.causality_note))


@pytest.mark.slow
def test_instance_norm_is_refused_in_a_causal_stack():
    """There a token would see later ones in evaluation too."""
    with pytest.raises(
        ConfigError, match=r"^norm=instance_norm cannot be used in a causal stack .* use task=classification"
    ):
        tiny_config("norm=instance_norm")
    assert "IN(x + A(x))" in describe(resolved("classification", "norm=instance_norm"))


@pytest.mark.slow
def test_show_warns_of_later_tokens():
    assert "decoder: BN: in training its statistics include later tokens" in describe(tiny_config("norm=batch_norm"))
    assert "later tokens" not in describe(tiny_config("norm=rms_norm"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "task"),
    [("batch_norm", "translation"), ("power_norm", "translation"), ("instance_norm", "classification")],
)
def test_a_run_resumes_bit_for_bit_with_its_statistics(name, task, tmp_path):
    config = resolved(task, f"norm={name}")
    first, second = (Trainer(config, load_corpus(config.data)) for _ in range(2))
    data = first.data()
    for _ in range(2):
        take_step(first, next(data))
    first.save(tmp_path / "checkpoint")
    second.load(tmp_path / "checkpoint")
    batch = next(data)
    assert float(take_step(first, batch)[0]) == float(take_step(second, batch)[0])
    assert all(torch.equal(v, second.model.state_dict()[k]) for k, v in first.model.state_dict().items())
    assert first.finite


def test_power_norm_keeps_nothing_of_a_step():
    """Its backward hook once held the tensor that it belongs to, and with it the graph of every step."""

    def kept(steps):
        for _ in range(steps):
            norm(torch.randn(2, 3, 4, requires_grad=True)).sum().backward()
        gc.collect()
        return sum(issubclass(type(each), torch.Tensor) for each in gc.get_objects())

    norm = norms.PowerNorm(4)
    assert kept(2) == kept(5)


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("name", [name for name in NORMS if name not in ("ada_norm", "none")])
def test_a_norm_is_linear_where_its_statistics_are_fixed(name, training, x):
    """The shares of two summands add up to that of their sum; what is left of the forward is the same for tokens."""
    norm = moved(norm_of(name)).train(training)
    norm(x)  # running statistics are no longer those of the start
    made = norm(x)
    buffers = copy.deepcopy(dict(norm.named_buffers()))
    linear = norm.linearised_at(x)
    for each, value in norm.named_buffers():
        assert torch.equal(value, buffers[each])
    part = torch.randn(x.shape, generator=torch.Generator().manual_seed(2)).double()
    torch.testing.assert_close(linear(part) + linear(x - part), linear(x))
    if name != "dyt":  # which is not linear even then
        rest = made - linear(x)
        dims = (1,) if name == "instance_norm" else (0, 1)
        torch.testing.assert_close(rest, rest.mean(dims, keepdim=True).expand_as(rest))
