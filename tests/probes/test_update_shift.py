"""The shift against a step that is really taken."""

import pytest
import torch

from normexp.errors import ConfigError
from normexp.probes.update_shift import UpdateShift
from tests.support.probes import nothing_changes, rows_of, trainer_of
from tests.support.steps import take_step

STACKS = ("encoder", "decoder")


def outputs(trainer, batch):
    """Outputs of both stacks, in training mode, for models without dropout."""
    model, seen = trainer.model, {}
    hooks = [
        getattr(model, stack).register_forward_hook(lambda _, args, out, s=stack: seen.update({s: out.detach()}))
        for stack in STACKS
    ]
    model(batch.source, batch.source_mask, batch.target, target_mask=batch.target_mask)
    for hook in hooks:
        hook.remove()
    return seen


def compare(rows, before, after, context):
    for stack in STACKS:
        norms = (after[stack] - before[stack]).square().sum(-1).sqrt()
        mask = context.mask_of(stack)
        norms = norms.flatten() if mask is None else norms[mask]
        assert norms.min() > 0
        assert rows[stack, 0, "", "", "update_shift"] == pytest.approx(float((norms**2).mean()), rel=1e-3)
        assert rows[stack, 0, "", "", "update_shift_norm"] == pytest.approx(float(norms.mean()), rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("line", ["optimizer=adam", "optimizer=sgd", "training.clip=0.01"])
@pytest.mark.parametrize("variant", ["post_ln", "pre_ln", "admin", "resi_dual"])
def test_the_runs_own_update_is_the_one_that_comes(variant, line):
    trainer = trainer_of(f"variant={variant}", line, "lr=0.01")
    data = trainer.data()
    take_step(trainer, next(data))  # so that the optimizer has a past
    batch, seen = next(data), {}

    def measure(context):
        seen.update(rows=rows_of(UpdateShift(), context), before=outputs(trainer, batch), context=context)

    take_step(trainer, batch, measure)
    compare(seen["rows"], seen["before"], outputs(trainer, batch), seen["context"])


@pytest.mark.parametrize("matrices", [False, True])
@pytest.mark.parametrize("variant", ["post_ln", "pre_ln", "b2t"])
def test_plain_descent_follows_the_gradient_unclipped(variant, matrices):
    trainer = trainer_of(f"variant={variant}", "training.clip=0.01")
    batch = next(trainer.data())
    trainer.backward(batch)
    context = trainer.probe_context(batch)
    rows = rows_of(UpdateShift(optimizer="sgd", lr=0.05, matrices=matrices), context)
    before = outputs(trainer, batch)
    parameters = list(trainer.model.parameters())
    if matrices:
        linears = [m for s in context.sites for m in s.sublayer.modules() if isinstance(m, torch.nn.Linear)]
        parameters = [linear.weight for linear in linears]
    torch.optim.SGD(parameters, lr=0.05).step()
    compare(rows, before, outputs(trainer, batch), context)


@pytest.mark.parametrize("optimizer", ["own", "sgd"])
def test_measuring_changes_nothing(optimizer):
    trainer = trainer_of("norm=batch_norm")
    batch = next(trainer.data())
    take_step(trainer, batch)
    trainer.backward(batch)
    with nothing_changes(trainer):
        rows_of(UpdateShift(optimizer=optimizer), trainer.probe_context(batch))


def test_a_gradient_that_is_not_finite_stops_nothing():
    trainer = trainer_of()
    batch = next(trainer.data())
    trainer.backward(batch)
    next(trainer.model.parameters()).grad.fill_(float("nan"))
    assert rows_of(UpdateShift(), trainer.probe_context(batch)).isna().all()


def test_options_are_checked():
    with pytest.raises(ConfigError, match=r"probes\.update_shift\.optimizer must be own or sgd; got adam"):
        UpdateShift(optimizer="adam")
    with pytest.raises(ConfigError, match=r"probes\.update_shift\.lr must be above 0"):
        UpdateShift(lr=0.0)
