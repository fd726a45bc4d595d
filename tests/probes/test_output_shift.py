"""The shift against two separate models, without the trace."""

import pytest
import torch

from normexp.errors import ConfigError
from normexp.model.build import build
from normexp.probes.output_shift import OutputShift
from normexp.probes.parameters import matrices
from tests.support.probes import rows_of, trainer_of

MATRICES = ("query", "key", "value", "out", "fc1", "fc2")


def outputs(model, modules, batch):
    """Outputs of some modules in one forward."""
    seen, hooks = {}, []
    for name, module in modules.items():
        hooks.append(module.register_forward_hook(lambda _, args, out, name=name: seen.update({name: out.detach()})))
    model(batch.source, batch.source_mask, batch.target, target_mask=batch.target_mask)
    for hook in hooks:
        hook.remove()
    return seen


def mean_square(a, b, mask):
    per_token = (a - b).square().sum(-1)
    return float(per_token.mean() if mask is None else per_token[mask].sum() / mask.sum())


@pytest.mark.slow
@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("variant", ["post_ln", "pre_ln", "resi_dual", "static_hyper_connections", "admin"])
def test_the_shift_is_that_of_a_model_with_noise(variant, relative):
    trainer = trainer_of(f"variant={variant}")
    batch = next(trainer.data())
    context = trainer.probe_context(batch)
    rows = rows_of(OutputShift(noise=0.01, relative=relative, draws=1), context)

    shaken = build(trainer.config, trainer.corpus).train()
    shaken.load_state_dict(trainer.model.state_dict())
    touched = 0
    for name, parameter in shaken.named_parameters():
        if ".layers." in name and name.endswith(tuple(f"{matrix}.weight" for matrix in MATRICES)):
            noise = torch.empty(parameter.shape).normal_(generator=context.generator("output_shift", name))
            parameter.data += 0.01 * noise * (float(parameter.detach().numpy().std()) if relative else 1.0)
            touched += 1
    assert touched == 2 * 6 + 2 * 10
    stacks = ("encoder", "decoder")
    a, b = (outputs(m, {s: getattr(m, s) for s in stacks}, batch) for m in (trainer.model, shaken))
    for stack in stacks:
        expected = mean_square(a[stack], b[stack], context.mask_of(stack))
        assert expected > 1e-6
        assert rows[stack, 0, "", "", "output_shift"] == pytest.approx(expected, rel=1e-4)
    if variant == "post_ln":  # there the stream is what a norm gives
        norms = [{s.name: s.norm for k in m.stacks for s in k.sites} for m in (trainer.model, shaken)]
        a, b = (outputs(m, n, batch) for m, n in zip((trainer.model, shaken), norms, strict=True))
        for site in context.sites:
            expected = mean_square(a[site.name], b[site.name], context.mask_of(site.shape.stack))
            key = site.shape.stack, site.layer, site.name.rpartition(".")[2], "", "stream_shift"
            assert rows[key] == pytest.approx(expected, rel=1e-4)


def test_the_shift_is_a_mean_over_draws():
    trainer = trainer_of("model.dropout=0.2")
    context = trainer.probe_context(next(trainer.data()))
    batch, count = context.batch, 3
    generators = {name: context.generator("output_shift", name) for name in matrices(trainer.model)}
    single = []
    for _ in range(count):
        noisy = context.with_model_copy().model
        for name, matrix in matrices(noisy).items():
            matrix.data += 0.01 * torch.randn(matrix.shape, generator=generators[name])
        a, b = context.trace["decoder/output"], context.trace_of(noisy)["decoder/output"]
        single.append(mean_square(a.detach(), b, context.mask_of("decoder")))
    assert len(set(single)) == count
    row = rows_of(OutputShift(noise=0.01, draws=count), context)["decoder", 0, "", "", "output_shift"]
    assert row == pytest.approx(sum(single) / count, rel=1e-4)
    assert batch is context.batch
    with pytest.raises(ConfigError, match=r"probes\.output_shift\.draws must be at least 1; got 0"):
        OutputShift(draws=0)


@pytest.mark.slow
def test_small_noise_moves_the_output_by_its_square():
    trainer = trainer_of("model.dropout=0.2", "model.attention_dropout=0.2")  # the same dropout on both sides
    trainer.model.double()
    context = trainer.probe_context(next(trainer.data()))
    one, two = (rows_of(OutputShift(noise=noise, draws=2), context) for noise in (1e-6, 2e-6))
    assert (two / one).to_numpy() == pytest.approx(4, rel=1e-3)


@pytest.mark.parametrize("task", ["classification", "language_modelling"])
def test_other_tasks_have_one_stack(task):
    trainer = trainer_of(f"task={task}")
    rows = rows_of(OutputShift(), trainer.probe_context(next(trainer.data())))
    stack = "encoder" if task == "classification" else "decoder"
    assert set(rows.index.get_level_values("stack")) == {stack}
    assert (rows > 0).all()


def test_noise_must_be_something():
    with pytest.raises(ConfigError, match=r"probes\.output_shift\.noise must be above 0"):
        OutputShift(noise=0.0)
