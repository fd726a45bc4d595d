"""The largest eigenvalue against the whole Hessian, written out by torch.autograd.functional."""

import copy
from dataclasses import replace
from itertools import islice

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from normexp.errors import ConfigError
from normexp.probes.sharpness import Sharpness, largest_eigenvalue
from tests.support.probes import nothing_changes, rows_of, trainer_of
from tests.support.steps import take_step

SMALL = ("model.width=4", "model.feed_forward=4", "training.batch_tokens=100")


def hessian(trainer, batch):
    """Of the mean negative log-likelihood, over all parameters, for nets without dropout."""
    names, tensors = zip(*trainer.model.named_parameters(), strict=True)

    def loss(flat):
        parts = flat.split([t.numel() for t in tensors])
        weights = {name: part.view_as(t) for name, part, t in zip(names, parts, tensors, strict=True)}
        inputs = (batch.source, batch.source_mask, batch.target)
        scores = torch.func.functional_call(trainer.model, weights, inputs)
        scores, labels = scores.flatten(0, -2), batch.labels.flatten()
        return -scores[labels >= 0].log_softmax(-1).gather(1, labels[labels >= 0, None]).mean()

    with sdpa_kernel(SDPBackend.MATH):
        return torch.autograd.functional.hessian(loss, torch.cat([t.detach().flatten() for t in tensors]))


def flat(tensors):
    return torch.cat([tensor.flatten() for tensor in tensors])


@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    [
        "variant=post_ln task=language_modelling",
        "variant=pre_ln task=language_modelling",
        "variant=admin task=language_modelling",
        "variant=deep_norm task=classification",
        "variant=b2t task=translation depth=1",
    ],
)
def test_it_is_the_largest_eigenvalue_of_the_hessian(line):
    trainer = trainer_of(*SMALL, *line.split())
    trainer.model.double()
    batch = next(trainer.data())
    context = trainer.probe_context(batch)
    eigenvalues = torch.linalg.eigvalsh(hessian(trainer, batch))
    assert eigenvalues[0] < 0 < eigenvalues[-1]
    rows = rows_of(Sharpness(iterations=60), context)
    assert rows["model", 0, "", "", "sharpness"] == pytest.approx(float(eigenvalues[-1]), rel=1e-6)
    half = float(eigenvalues[-1]) * context.lr / 2
    assert context.lr == trainer.config.lr * trainer.rate(1)
    assert rows["model", 0, "", "", "sharpness_times_lr_over_2"] == pytest.approx(half, rel=1e-6)
    default = rows_of(Sharpness(), context)["model", 0, "", "", "sharpness"]
    assert default == pytest.approx(float(eigenvalues[-1]), rel=0.01)
    assert default < eigenvalues[-1] * (1 + 1e-9)


def adam_after(trainer):
    """A copy of the trainer's optimizer after the coming step, as ProbeContext.coming_update has it, with its model."""

    def updated():
        model = copy.deepcopy(trainer.model)
        for ours, its in zip(trainer.model.parameters(), model.parameters(), strict=True):
            its.grad = ours.grad.clone()
        optimizer = type(trainer.optimizer)(model.parameters(), **trainer.optimizer.defaults)
        optimizer.load_state_dict(copy.deepcopy(trainer.optimizer.state_dict()))
        optimizer.step()
        return model, optimizer

    return updated


@pytest.mark.slow
@pytest.mark.parametrize("steps", [0, 3])
def test_preconditioned_sharpness_is_that_of_adam(steps):
    trainer = trainer_of("task=language_modelling", *SMALL, "training.clip=0", "training.label_smoothing=0")
    trainer.model.double()
    gradients = []
    for batch in islice(trainer.data(), steps):
        take_step(trainer, batch, lambda _: gradients.append([p.grad.clone() for p in trainer.model.parameters()]))
    batch = next(trainer.data())
    trainer.backward(batch)
    gradients.append([p.grad.clone() for p in trainer.model.parameters()])
    (group,) = trainer.optimizer.param_groups
    (first, second), eps, t = group["betas"], group["eps"], steps + 1
    moments = sum((1 - second) * second ** (steps - k) * flat(g).square() for k, g in enumerate(gradients))
    p = (1 - first**t) * ((moments / (1 - second**t)).sqrt() + eps)
    root = p.rsqrt()
    expected = float(torch.linalg.eigvalsh(root[:, None] * hessian(trainer, batch) * root)[-1])

    context = replace(trainer.probe_context(batch), coming_update=adam_after(trainer))
    with nothing_changes(trainer):
        rows = rows_of(Sharpness(iterations=80), context)["model", 0, "", ""]
    assert rows["preconditioned_sharpness"] == pytest.approx(expected, rel=1e-4)
    threshold = (2 + 2 * first) / ((1 - first) * context.lr)
    assert rows["preconditioned_sharpness_over_threshold"] == pytest.approx(expected / threshold, rel=1e-4)
    plain = rows_of(Sharpness(iterations=5, preconditioned=False), context)
    assert len(plain) == 2


@pytest.mark.slow
def test_an_optimizer_without_second_moments_has_none():
    trainer = trainer_of("optimizer=sgd")
    batch = next(trainer.data())
    trainer.backward(batch)
    context = replace(trainer.probe_context(batch), coming_update=adam_after(trainer))
    assert len(rows_of(Sharpness(iterations=2), context)) == 2


def test_a_large_negative_eigenvalue_is_not_taken():
    generator = torch.Generator().manual_seed(0)
    turn, _ = torch.linalg.qr(torch.randn(40, 40, generator=generator, dtype=torch.float64))
    values = torch.linspace(-100, 3, 40, dtype=torch.float64)
    matrix = turn @ values.diag() @ turn.T
    start = torch.randn(40, generator=generator, dtype=torch.float64)
    found = [float(largest_eigenvalue(lambda v: matrix @ v, start, n)) for n in (1, 5, 20, 40, 80)]
    assert found[0] == pytest.approx(float(start @ matrix @ start / (start @ start)))
    assert found == sorted(found)
    assert found[-1] == pytest.approx(3, rel=1e-6)


def test_a_space_that_is_used_up_ends_the_search():
    start = torch.tensor([3.0, 4.0, 0.0])
    assert float(largest_eigenvalue(lambda v: torch.tensor([2.0, 5.0, 9.0]) * v, start, 10)) == pytest.approx(5)


@pytest.mark.slow
def test_dropout_is_that_of_the_step():
    trainer = trainer_of("model.dropout=0.2", "model.attention_dropout=0.2")
    context = trainer.probe_context(next(trainer.data()))
    one, two = (rows_of(Sharpness(iterations=5), context) for _ in range(2))
    assert one.equals(two)


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["layer_norm", "batch_norm", "power_norm"])
def test_measuring_changes_nothing(norm):
    trainer = trainer_of(f"norm={norm}")
    batch = next(trainer.data())
    take_step(trainer, batch)
    trainer.backward(batch)
    with nothing_changes(trainer):
        rows_of(Sharpness(iterations=3), trainer.probe_context(batch))


@pytest.mark.slow
def test_checkpointed_layers_have_the_same_sharpness():
    """They are computed again for every product, with the same attention kernel."""
    plain, checkpointed = (
        trainer_of(f"training.activation_checkpointing={value}", "model.attention_dropout=0")
        for value in ("false", "true")
    )
    one, two = (
        rows_of(Sharpness(iterations=3), each.probe_context(next(each.data()))) for each in (plain, checkpointed)
    )
    assert one.equals(two)


def test_weights_that_are_not_finite_stop_nothing():
    trainer = trainer_of()
    trainer.model.embedding.words.weight.data.fill_(float("nan"))
    assert rows_of(Sharpness(iterations=3), trainer.probe_context(next(trainer.data()))).isna().all()


def test_there_must_be_a_step():
    with pytest.raises(ConfigError, match=r"probes\.sharpness\.iterations must be at least 1; got 0"):
        Sharpness(iterations=0)
