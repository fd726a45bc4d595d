"""Singular values against the Jacobian of torch.autograd.functional, and of stacks for which they are known."""

from dataclasses import replace

import pytest
import torch

from normexp.errors import ConfigError
from normexp.probes.jacobian import StackJacobian
from tests.support.probes import rows_of, trainer_of


def double_trainer(*overrides):
    trainer = trainer_of(*overrides)
    trainer.model.double()
    return trainer


def short_first(batch, tokens):
    """The batch, its first text cut to so many tokens in source and target."""
    source_mask = (
        torch.ones_like(batch.source, dtype=torch.bool) if batch.source_mask is None else batch.source_mask.clone()
    )
    labels = batch.labels.clone()
    source_mask[0, tokens:], labels[0, tokens:] = False, -100
    return replace(batch, source_mask=source_mask, labels=labels)


def of_stack(rows, stack):
    return {what: rows[stack, 0, "", "", f"jacobian_{what}"] for what in ("max", "min", "mean_square")}


def values_of(stack, x, memory=None):
    """Singular values computed directly: one text, one function, eval mode."""
    stack.eval()
    memory = None if memory is None else memory[None]
    matrix = torch.autograd.functional.jacobian(lambda x: stack(x[None], memory=memory)[0], x)
    stack.train()
    return torch.linalg.svdvals(matrix.reshape(x.numel(), x.numel()))


@pytest.mark.slow
@pytest.mark.parametrize("tokens", [3, 8])
@pytest.mark.parametrize("variant", ["post_ln", "pre_ln", "resi_dual", "b2t", "dlcl_post", "no_norm"])
def test_they_are_those_of_the_jacobian(variant, tokens):
    trainer = double_trainer(f"variant={variant}")
    batch = short_first(next(trainer.data()), 5)
    rows = rows_of(StackJacobian(tokens=tokens), trainer.probe_context(batch))
    model, count = trainer.model, min(tokens, 5)
    with torch.no_grad():
        source = model.embedding(batch.source)[0, :5]
        target = model.embedding(batch.target)[0, :count]
        memory = model.encoder(source[None])[0]
    expected = {"encoder": values_of(model.encoder, source[:count])}
    expected["decoder"] = values_of(model.decoder, target, memory)
    for stack, values in expected.items():
        assert len(values) == 16 * count
        row = of_stack(rows, stack)
        assert row["max"] == pytest.approx(float(values.max()), rel=1e-9)
        assert row["min"] == pytest.approx(float(values.min()), rel=1e-6, abs=1e-9)
        assert row["mean_square"] == pytest.approx(float((values**2).mean()), rel=1e-9)


@pytest.mark.parametrize("task", ["classification", "language_modelling"])
def test_branches_that_are_closed_leave_the_identity(task):
    trainer = trainer_of("variant=re_zero", f"task={task}")
    rows = rows_of(StackJacobian(), trainer.probe_context(next(trainer.data())))
    assert rows.to_numpy() == pytest.approx(1, rel=1e-6)
    assert len(rows) == 3


def test_a_final_layer_norm_removes_two_directions():
    """Mean and scale of every token."""
    trainer = double_trainer("variant=pre_ln")
    batch = next(trainer.data())
    trainer.model.encoder.variant.final_norm.eps = 0.0  # else the second of them is only almost lost
    assert rows_of(StackJacobian(), trainer.probe_context(batch))["encoder", 0, "", "", "jacobian_min"] < 1e-9


@pytest.mark.slow
def test_it_runs_as_in_evaluation():
    wet = trainer_of("norm=batch_norm", "model.dropout=0.3", "model.attention_dropout=0.3")
    wet.model.embedding.dropout.p = 0.0  # the input and its memory are those of the step
    dry = trainer_of("norm=batch_norm")
    batch = next(wet.data())
    for trainer in (wet, dry):
        for site in trainer.model.encoder.sites:
            site.norm.running_var.fill_(4.0)
    one, two = (rows_of(StackJacobian(), t.probe_context(batch)) for t in (wet, dry))
    assert of_stack(one, "encoder") == pytest.approx(of_stack(two, "encoder"), rel=1e-5)
    values = values_of(dry.model.encoder, dry.model.embedding(batch.source)[0, :8].detach())
    assert one["encoder", 0, "", "", "jacobian_max"] == pytest.approx(float(values.max()), rel=1e-4)


@pytest.mark.slow
def test_the_constants_are_those_of_the_step():
    trainer = trainer_of("variant=branch_norm")
    context = trainer.probe_context(next(trainer.data()))
    now, later = (rows_of(StackJacobian(), replace(context, step=step)) for step in (1, 40))
    assert (now != later).all()


def test_weights_that_are_not_finite_stop_nothing():
    trainer = trainer_of()
    trainer.model.embedding.words.weight.data.fill_(float("nan"))
    assert rows_of(StackJacobian(), trainer.probe_context(next(trainer.data()))).isna().all()


def test_there_must_be_a_token():
    with pytest.raises(ConfigError, match=r"probes\.jacobian\.tokens must be at least 1; got 0"):
        StackJacobian(tokens=0)
