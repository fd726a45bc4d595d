"""The predicted update against the one that the optimizer makes."""

import math

import pytest

from normexp.probes.update_ratio import UpdateRatio
from tests.support.probes import rows_of, trainer_of
from tests.support.steps import take_step


@pytest.mark.slow
@pytest.mark.parametrize("line", ["optimizer=adam", "optimizer=adamw", "optimizer=sgd", "training.clip=0.01"])
@pytest.mark.parametrize("variant", ["post_ln", "deep_norm", "resi_dual"])
def test_it_is_the_update_that_comes(variant, line):
    trainer = trainer_of(f"variant={variant}", line, "lr=0.01")
    data, seen = trainer.data(), []
    take_step(trainer, next(data))
    before = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    take_step(trainer, next(data), lambda context: seen.append(rows_of(UpdateRatio(), context)))
    rows, after = seen[0], dict(trainer.model.named_parameters())

    def norm(tensors):
        return math.sqrt(sum(float(t.detach().double().square().sum()) for t in tensors))

    for stack, layer, site in [
        ("encoder", 1, "attention"),
        ("decoder", 2, "cross_attention"),
        ("decoder", 1, "feed_forward"),
    ]:
        place = f"{stack}.layers.{layer:02d}.{site}."
        names = [name for name in before if name.startswith(place)]
        for group, label in [([name], name) for name in names] + [(names, "")]:
            update, size = norm(after[n] - before[n] for n in group), norm(before[n] for n in group)
            key = stack, layer, site, label.removeprefix(place).removeprefix("sublayer.")
            assert update > 0
            assert rows[*key, "update_norm"] == pytest.approx(update, rel=1e-4)
            assert rows[*key, "update_ratio"] == pytest.approx(update / size, rel=1e-4)
    update = norm([after["embedding.words.weight"] - before["embedding.words.weight"]])
    assert rows["model", 0, "embedding", "words.weight", "update_norm"] == pytest.approx(update, rel=1e-4)


def test_sgd_takes_a_share_of_the_gradient():
    trainer = trainer_of("optimizer=sgd", "lr=0.5", "warmup=0", "schedule=constant", "training.clip=0")
    batch, seen = next(trainer.data()), []
    take_step(trainer, batch, lambda context: seen.append(rows_of(UpdateRatio(), context)))
    weight = trainer.model.encoder.sites[0].sublayer.value.weight  # clipping is off: its gradient is as it was
    expected = 0.5 * float(weight.grad.norm())
    assert seen[0]["encoder", 1, "attention", "value.weight", "update_norm"] == pytest.approx(expected, rel=1e-4)


def test_a_parameter_of_zeros_has_no_ratio():
    trainer = trainer_of()
    batch = next(trainer.data())
    trainer.backward(batch)
    rows = rows_of(UpdateRatio(), trainer.probe_context(batch))
    assert math.isnan(rows["encoder", 1, "feed_forward", "fc1.bias", "update_ratio"])
    assert rows["encoder", 1, "feed_forward", "fc1.bias", "update_norm"] > 0
    assert rows["encoder", 1, "feed_forward", "", "update_ratio"] > 0


@pytest.mark.parametrize("task", ["classification", "language_modelling"])
def test_every_parameter_of_every_task_is_there(task):
    trainer = trainer_of(f"task={task}")
    batch = next(trainer.data())
    trainer.backward(batch)
    rows = rows_of(UpdateRatio(), trainer.probe_context(batch))
    parameters = rows.index[rows.index.get_level_values("parameter") != ""]
    assert len(parameters) == 2 * len(list(trainer.model.parameters()))
