"""Measuring changes neither the model nor its gradients nor the run."""

import pytest
import torch

from normexp.data.corpus import load_corpus
from normexp.model.buffers import unchanged_buffers
from normexp.probes.context import distances
from normexp.training.trainer import Trainer
from tests.support.runs import tiny_config
from tests.support.steps import take_step


@pytest.fixture(params=["norm=layer_norm", "norm=batch_norm", "norm=power_norm"])
def trainer(request):
    config = tiny_config(request.param, "variant=post_ln", "model.dropout=0.1")
    return Trainer(config, load_corpus(config.data))


def test_every_forward_of_a_context_is_the_same(trainer):
    context = trainer.probe_context(next(trainer.data()))
    assert torch.equal(context.scores(), context.scores())


def test_the_loss_is_the_next_steps(trainer):
    batch = next(trainer.data())
    context = trainer.probe_context(batch)
    before = context.nll.item()
    assert take_step(trainer, batch)[0].item() == before


def test_stream_before_a_site_is_that_after_the_previous(trainer):
    context = trainer.probe_context(next(trainer.data()))
    first, second, *_ = trainer.model.decoder.sites
    assert context.stream_before(second) is context.trace["decoder.01.attention/stream"]
    opened = context.stream_before(first)
    embedded = trainer.model.embedding.eval()(context.batch.target)
    kept = opened != 0  # by dropout
    assert torch.allclose(opened[kept], embedded[kept] / 0.9)


def test_measuring_leaves_weights_buffers_and_gradients(trainer):
    batch = next(trainer.data())
    take_step(trainer, batch)
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    grads = [p.grad.clone() for p in trainer.model.parameters()]
    context = trainer.probe_context(batch)
    context.gradients(list(context.trace.values()))
    with unchanged_buffers(trainer.model):
        context.scores(batch.permuted())
    after = trainer.model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert all(torch.equal(g, p.grad) for g, p in zip(grads, trainer.model.parameters(), strict=True))


def test_the_gradient_of_a_branch_is_autograds(trainer):
    context = trainer.probe_context(next(trainer.data()))
    branch = context.trace["decoder.01.feed_forward/branch"]
    (gradient,) = context.gradients([branch])
    branch.retain_grad()
    context.nll.backward()
    assert torch.allclose(gradient, branch.grad)


def test_the_trace_has_its_graph_whoever_asks_first(trainer):
    context = trainer.probe_context(next(trainer.data()))
    with torch.no_grad():
        branch = context.trace["encoder.01.attention/branch"]
    (gradient,) = context.gradients([branch])
    assert gradient.abs().sum() > 0


def test_another_model_is_seen_as_this_one_is(trainer):
    context = trainer.probe_context(next(trainer.data()))
    there = context.trace_of(context.with_model_copy().model)
    assert there.keys() == context.trace.keys()
    assert all(torch.equal(value, context.trace[name]) for name, value in there.items())
    assert not any(value.requires_grad for value in there.values())


def test_a_copy_has_the_constants_of_the_step():
    config = tiny_config("variant=branch_norm")
    trainer = Trainer(config, load_corpus(config.data))
    trainer.done = 9
    context = trainer.probe_context(next(trainer.data()))
    there = context.trace_of(context.with_model_copy().model)
    assert torch.equal(there["decoder/output"], context.trace["decoder/output"])
    assert trainer.model.encoder.variant.alpha == pytest.approx(1 / 40)  # measuring is no step


def test_distances_are_those_of_real_tokens():
    a, b = torch.zeros(2, 2, 2), torch.tensor([[[3.0, 4.0], [9.0, 9.0]], [[0.0, 1.0], [2.0, 0.0]]])
    mask = torch.tensor([[True, False], [True, True]])
    assert distances(a, b, mask).tolist() == [5, 1, 2]
    assert len(distances(a, b, None)) == 4
