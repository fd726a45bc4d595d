"""Use of the source, by forwards in pieces: encode, embed, decode."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from normexp.probes.source_use import SourceUse
from tests.support.probes import measured, padded, trainer_of


def of_model(trainer, batch):
    """The three values, by name."""
    return measured(SourceUse(), trainer.probe_context(batch)).xs(("model", 0, ""), level=("stack", "layer", "site"))


def in_pieces(model, batch, source, mask):
    """Loss of the batch's targets with any source, and its inputs: memory and embedded targets."""
    with torch.no_grad():
        memory = model.encoder(model.embedding(source), mask)
        own = model.embedding(batch.target)
    memory.requires_grad_(), own.requires_grad_()
    scores = model.predict(model.decoder(own, batch.labels != -100, memory, mask))
    return F.cross_entropy(scores[batch.labels != -100], batch.labels[batch.labels != -100]), memory, own


@pytest.mark.parametrize("variant", ["post_ln", "pre_ln", "resi_dual", "hyper_connections"])
def test_numbers_are_those_of_a_forward_in_pieces(variant):
    trainer = trainer_of(f"variant={variant}")
    model = trainer.model.double()
    batch = padded(trainer)
    loss, memory, own = in_pieces(model, batch, batch.source, batch.source_mask)
    loss.backward()
    last_first = [len(batch.source) - 1, *range(len(batch.source) - 1)]
    other, _, _ = in_pieces(model, batch, batch.source[last_first], batch.source_mask[last_first])
    at_memory = memory.grad[batch.source_mask].square().sum().sqrt().item()
    at_own = own.grad[batch.labels != -100].square().sum().sqrt().item()
    model.zero_grad()

    values = of_model(trainer, batch)
    assert len(values) == 3
    assert values["source_gap"] == pytest.approx((other - loss).item(), rel=1e-9)
    assert values["memory_grad_norm"] == pytest.approx(at_memory, rel=1e-9)
    assert values["memory_grad_share"] == pytest.approx(at_memory / (at_memory + at_own), rel=1e-9)
    assert at_memory > 0
    assert other != loss


def test_an_unused_source_has_no_gap_and_no_gradient():
    trainer = trainer_of("variant=pre_ln")
    for site in trainer.model.decoder.sites:
        if site.kind == "cross_attention":
            torch.nn.init.zeros_(site.sublayer.out.weight)
    assert of_model(trainer, padded(trainer)).tolist() == [0, 0, 0]


def test_one_text_has_no_other_source():
    trainer = trainer_of("variant=post_ln")
    batch = padded(trainer)
    one = replace(batch, source=batch.source[:1], source_mask=None, target=batch.target[:1], labels=batch.labels[:1])
    values = of_model(trainer, one)
    assert values["source_gap"] == 0
    assert values["memory_grad_norm"] > 0


@pytest.mark.parametrize("task", ["task=language_modelling", "task=classification"])
def test_models_of_one_stack_have_no_rows(task):
    trainer = trainer_of(task)
    assert SourceUse().measure(trainer.probe_context(padded(trainer))).frame(1).empty
