"""Gradients of streams and branches, by a backward of the whole model with hooks on its modules."""

import pytest
import torch

from normexp.data.corpus import load_corpus
from normexp.model.buffers import unchanged_buffers
from normexp.probes.stream_gradient import StreamGradient
from normexp.training.evaluate import cross_entropy, logits
from normexp.training.trainer import Trainer
from tests.support.runs import tiny_config
from tests.support.steps import take_step


def trainer_of(*line):
    config = tiny_config(*line, "depth=2", "model.dropout=0", "model.attention_dropout=0")
    return Trainer(config, load_corpus(config.data)).calibrate()


def measured(context):
    frame = StreamGradient().measure(context).frame(1)
    return frame.set_index(["stack", "layer", "site", "statistic"])["value"]


def by_hand(trainer, batch, stream_of):
    """Gradient norm of every stream and branch, by site: `stream_of` names the module whose input or output it is."""
    seen = {}

    def keep(key, tensor):
        tensor.retain_grad()
        seen[key] = tensor

    handles = []
    for stack in trainer.model.stacks:
        for i, site in enumerate(stack.sites):
            handles.append(
                site.sublayer.register_forward_hook(lambda _, __, out, k=(site.name, "branch"): keep(k, out))
            )
            where, module = stream_of(stack, i)
            key = (site.name, "stream")
            if where == "out":
                handles.append(module.register_forward_hook(lambda _, __, out, k=key: keep(k, out)))
            else:
                handles.append(module.register_forward_pre_hook(lambda _, args, k=key: keep(k, args[0])))
    with unchanged_buffers(trainer.model):
        cross_entropy(logits(trainer.model, batch), batch.labels).backward()
    for handle in handles:
        handle.remove()
    trainer.model.zero_grad()
    return {key: tensor.grad.square().sum().sqrt().item() for key, tensor in seen.items()}


def after_norm(stack, i):
    return "out", stack.sites[i].norm


def before_next(stack, i):
    return "in", stack.sites[i + 1].norm if i + 1 < len(stack.sites) else stack.variant.final_norm


@pytest.mark.parametrize(
    ("variant", "stream_of"),
    [
        ("post_ln", after_norm),
        ("pre_ln", before_next),
        ("b2t", after_norm),
        ("deep_norm", after_norm),
        ("resi_dual", after_norm),
    ],
)
def test_norms_are_those_of_a_backward_by_hand(variant, stream_of):
    trainer = trainer_of(f"variant={variant}")
    batch = next(trainer.data())
    rows = measured(trainer.probe_context(batch))
    expected = by_hand(trainer, batch, stream_of)
    sites = [site for stack in trainer.model.stacks for site in stack.sites]
    assert len(rows) == 3 * len(sites) == 30
    largest = max(value for (_, what), value in expected.items() if what == "stream")
    for site in sites:
        place = (site.shape.stack, site.layer, site.name.rpartition(".")[2])
        assert rows[*place, "stream_grad_norm"] == pytest.approx(expected[site.name, "stream"], rel=1e-4)
        assert rows[*place, "branch_grad_norm"] == pytest.approx(expected[site.name, "branch"], rel=1e-4)
        assert rows[*place, "stream_grad_relative"] == pytest.approx(expected[site.name, "stream"] / largest, rel=1e-4)
    assert rows.xs("stream_grad_relative", level="statistic").max() == 1


def test_a_stream_that_nothing_reads_has_no_gradient():
    trainer = trainer_of("variant=hyper_connections")
    rows = measured(trainer.probe_context(next(trainer.data())))
    assert rows.xs("stream_grad_norm", level="statistic").isna().all()
    assert rows.xs("stream_grad_relative", level="statistic").isna().all()
    assert (rows.xs("branch_grad_norm", level="statistic") > 0).all()


def test_measuring_leaves_gradients_alone():
    trainer = trainer_of("variant=post_ln", "norm=power_norm")
    batch = next(trainer.data())
    take_step(trainer, batch)
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    grads = [p.grad.clone() for p in trainer.model.parameters()]
    measured(trainer.probe_context(batch))
    after = trainer.model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert all(torch.equal(g, p.grad) for g, p in zip(grads, trainer.model.parameters(), strict=True))
