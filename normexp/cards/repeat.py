"""Whether the same model gives the same result again: built twice, and saved and loaded."""

import io
from dataclasses import replace

import torch
from torch import Tensor

from normexp.cards.case import Case
from normexp.cards.finding import Found
from normexp.cards.places import listed, parameter
from normexp.model.build import Model


def same_twice(case: Case) -> Found:
    """Two models of one config, built with different states of the global generator, and one model read twice."""
    one, two = case.model(), replace(case, draws=case.draws + 1).model()
    ours, theirs = one.state_dict(), two.state_dict()
    if changed := [name for name, value in ours.items() if not _equal(value, theirs[name])]:
        return Found(f"built twice from one seed, it starts with other values in {listed(map(parameter, changed))}")
    losses = []
    for model in (one, two):
        loss = case.loss(model, step=1)
        loss.backward()
        losses.append(loss.detach())
    if not _equal(*losses):
        return Found(f"two models with the same weights have the losses {losses[0]:.6g} and {losses[1]:.6g}")
    pairs = zip(one.named_parameters(), two.parameters(), strict=True)
    if changed := [name for (name, p), q in pairs if not _equal(p.grad, q.grad)]:
        return Found(f"the gradients of {listed(map(parameter, changed))} differ between two equal models")
    first, second = _outputs(case, one), _outputs(case, one)
    return Found() if _equal(first, second) else Found("in evaluation the second forward gives other logits")


def survives_save_and_load(case: Case) -> Found:
    """The state after a step, written to memory and read by a model that was not calibrated."""
    before = case.model()
    case.loss(before, step=1).backward()
    case.move(before)
    buffer = io.BytesIO()
    torch.save(before.state_dict(), buffer)
    buffer.seek(0)
    after = case.built()
    after.load_state_dict(torch.load(buffer, weights_only=True))
    why = "what it depends on is in no parameter and no buffer"
    if not _equal(_outputs(case, before), _outputs(case, after)):
        return Found(f"in evaluation a loaded model gives other logits, so {why}")
    losses = [case.loss(model, step=2) for model in (before, after)]
    return Found() if _equal(*losses) else Found(f"in training a loaded model has another loss, so {why}")


def _outputs(case: Case, model: Model) -> Tensor:
    with torch.no_grad():
        return case.forward(model, case.batch(), training=False)


def _equal(one: Tensor | None, other: Tensor | None) -> bool:
    """Bit for bit; NaN equals NaN."""
    if one is None or other is None:
        return one is other
    return one.shape == other.shape and bool(_same(one, other).all())


def _same(one: Tensor, other: Tensor) -> Tensor:
    return (one == other) | ((one != one) & (other != other))
