"""Whether gradients are finite in shallow and deep stacks, and reach every parameter."""

import copy
from contextlib import suppress

import torch
from torch import Tensor

from normexp.cards.case import LATE, Case
from normexp.cards.finding import Found
from normexp.cards.places import listed, parameter, place
from normexp.model.build import Model

SHALLOW, DEEP = 2, 48  # layers


def runs(case: Case) -> Found:
    """A forward, a backward and a copy at the depth of the config; what the variant's code raises is the caller's."""
    model = case.model()
    copy.deepcopy(model)  # as probes do
    case.loss(model).backward()
    return Found()


def finite(case: Case) -> Found:
    """Loss and gradients at 2 and at 48 layers, in the first step and with what changes over time at its end."""
    for depth in (SHALLOW, DEEP):
        for step, then in ((1, ""), (LATE, f" at step {LATE:,}")):
            deep = case.at(depth)
            model = deep.model()
            loss = deep.loss(model, step=step)
            if not loss.isfinite():
                trace = deep.trace(model, deep.batch(), training=True, step=step)
                gone = (place(name) for name, x in trace.items() if place(name) and not x.isfinite().all())
                return Found(f"at {depth} layers the forward is not finite{then}, first at {next(gone, 'the loss')}")
            loss.backward()
            lost = [name for name, p in model.named_parameters() if p.grad is not None and not p.grad.isfinite().all()]
            if lost:
                return Found(f"at {depth} layers the gradient of {listed(map(parameter, lost))} is not finite{then}")
    return Found()


def reach_every_parameter(case: Case) -> Found:
    """Gradients with noise on the weights. Those that are 0 only at the start are a note, not a failure."""
    moved = _idle(case, case.model(moved=True))
    if moved:
        with suppress(Exception):  # of code that only runs in float32
            moved = _idle(case, case.model(moved=True).double())  # where gradients that vanish are not yet 0
    if moved:
        return Found(listed(f"{parameter(name)} {why}" for name, why in moved.items()))
    at_start = _idle(case, case.model())
    if not at_start:
        return Found()
    several = f"{len(at_start)} have" if len(at_start) > 1 else "1 has"
    return Found(note=f"{several} none at the first step, such as {parameter(next(iter(at_start)))}")


def _idle(case: Case, model: Model) -> dict[str, str]:
    """The parameters that the loss does not reach, with the reason.

    A key's bias adds the same to all logits of a softmax, so it never has a gradient.
    """
    case.loss(model, step=LATE).backward()
    idle = {name: _reason(p.grad) for name, p in model.named_parameters() if not name.endswith("key.bias")}
    return {name: why for name, why in idle.items() if why}


def _reason(gradient: Tensor | None) -> str:
    if gradient is None:
        return "is not used"
    return "" if torch.count_nonzero(gradient) else "has a gradient of 0"
