"""The distance from initialisation, against outputs of a copy of the initial model."""

import copy
from dataclasses import replace
from itertools import islice

import pytest

from normexp.probes.model_update import ModelUpdate
from tests.support.probes import rows_of, trainer_of
from tests.support.steps import take_step


def outputs(model, batch):
    """Outputs of the stacks, for models without dropout."""
    seen = {}
    for stack in model.stacks:
        stack.register_forward_hook(lambda _, args, out, name=stack.shape.stack: seen.update({name: out.detach()}))
    model(batch.source, batch.source_mask, batch.target, target_mask=batch.target_mask)
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("task", ["translation", "classification", "language_modelling"])
@pytest.mark.parametrize("variant", ["post_ln", "pre_ln", "admin", "resi_dual"])
def test_the_start_is_where_training_began(variant, task):
    trainer = trainer_of(f"variant={variant}", f"task={task}", "warmup=0")
    first = copy.deepcopy(trainer.model)
    for batch in islice(trainer.data(), 3):
        take_step(trainer, batch)
    batch = next(trainer.data())
    context = trainer.probe_context(batch)
    rows, a, b = rows_of(ModelUpdate(), context), outputs(trainer.model, batch), outputs(first, batch)
    assert len(rows) == 3 * len(trainer.model.stacks)
    for stack in a:
        norms, mask = (a[stack] - b[stack]).square().sum(-1).sqrt(), context.mask_of(stack)
        expected = float(norms.mean() if mask is None else norms[mask].mean())
        assert expected > 1e-3
        assert rows[stack, 0, "", "", "model_update"] == pytest.approx(expected, rel=1e-4)
        share = norms / b[stack].norm(dim=-1) / 2**0.5
        expected = float(share.mean() if mask is None else share[mask].mean())
        assert rows[stack, 0, "", "", "model_update_relative"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("variant", ["post_ln", "pre_ln"])
def test_the_stream_is_what_the_last_norm_of_a_stack_reads(variant):
    """Where there is such a norm; else it is the output."""
    trainer = trainer_of(f"variant={variant}", "task=classification", "warmup=0")
    first = copy.deepcopy(trainer.model)
    for batch in islice(trainer.data(), 3):
        take_step(trainer, batch)
    batch, streams = next(trainer.data()), []
    context = trainer.probe_context(batch)
    rows = rows_of(ModelUpdate(), context)
    if variant == "post_ln":
        assert rows["encoder", 0, "", "", "stream_update"] == rows["encoder", 0, "", "", "model_update"]
        return
    for model in (first, trainer.model):
        model.encoder.variant.final_norm.register_forward_pre_hook(lambda _, args: streams.append(args[0].detach()))
        outputs(model, batch)
    moved, mask = (streams[1] - streams[0]).norm(dim=-1), context.mask_of("encoder")
    expected = float(moved.mean() if mask is None else moved[mask].mean())
    assert rows["encoder", 0, "", "", "stream_update"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("line", ["variant=admin", "variant=branch_norm", "norm=batch_norm", "norm=power_norm"])
def test_it_is_nothing_at_the_first_step(line):
    trainer = trainer_of(line, "model.dropout=0.2")
    batch, seen = next(trainer.data()), []
    take_step(trainer, batch, lambda context: seen.append(rows_of(ModelUpdate(), context)))
    assert (seen[0] == 0).all()


def test_dropout_alone_is_no_move():
    trainer = trainer_of("model.dropout=0.2")
    trainer.done = 7
    assert (rows_of(ModelUpdate(), trainer.probe_context(next(trainer.data()))) == 0).all()


@pytest.mark.slow
def test_the_relative_move_of_an_unrelated_model_is_near_1():
    """Post-LN outputs have norm √width, so the raw distance of unrelated outputs is √(2·width), whatever the model."""
    trainer, other = (
        trainer_of("variant=post_ln", "model.width=32"),
        trainer_of("variant=post_ln", "model.width=32", "seed=5"),
    )
    context = replace(trainer.probe_context(next(trainer.data())), initial_model=lambda: other.model)
    rows = rows_of(ModelUpdate(), context)
    assert rows["decoder", 0, "", "", "model_update"] == pytest.approx(64**0.5, rel=0.2)
    assert rows["decoder", 0, "", "", "model_update_relative"] == pytest.approx(1, rel=0.2)
