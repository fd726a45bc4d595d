"""How far the output of a stack has moved since training began."""

import math
from typing import ClassVar

import torch

from normexp.probes.context import ProbeContext, distances, valid_tokens
from normexp.probes.probe import Probe, Readings, stack_key


class ModelUpdate(Probe):
    """Mean ‖f(x, θ_t) − f(x, θ₀)‖ over real tokens, for a stack f and the batch x of step t (figure 4 of the paper).

    The distance saturates. Outputs that a norm has scaled to ‖f‖ = √width and that no longer resemble each other are
    √2·√width apart, whatever happens afterwards, so the growth is visible only in the first steps.
    model_update_relative is the mean of ‖f_t − f₀‖ / (√2·‖f₀‖): 0 at step 1, near 1 once outputs of equal size are
    uncorrelated. Use it to compare widths, and variants without a final norm.
    stream_update is the same for the stream after the last layer, before a norm that ends the stack. It does not
    saturate where nothing normalises it, so its exponent in depth is the coordinate check of Dey et al. 2025.
    θ₀ is rebuilt from the run's seed for every measurement. Both forwards use the dropout and the constants of step t,
    each with the running statistics of its own model.
    """

    measures = "distance per token between a stack's outputs now and at initialisation; large early: unstable"
    good = "slow growth in the first steps"
    statistics: ClassVar[dict[str, str]] = {
        "model_update": "mean distance per token between a stack's outputs now and with its initial weights",
        "model_update_relative": "distance of a stack's output from its initial one, over √2 times its initial norm; "
        "1: nothing is left of it",
        "stream_update": "mean distance per token between the last layer's stream now and with its initial weights",
    }
    paper = "wang2022_deepnet"

    def measure(self, context: ProbeContext) -> Readings:
        here, start = context.trace, context.trace_of(context.initial_model())
        found = []
        with torch.no_grad():
            for stack, last in ((stack.shape.stack, stack.sites[-1].name) for stack in context.model.stacks):
                name, stream, mask = f"{stack}/output", f"{last}/stream", context.mask_of(stack)
                moved = distances(here[name], start[name], mask)
                size = math.sqrt(2) * torch.linalg.vector_norm(valid_tokens(start[name], mask), dim=-1)
                found += [(stack_key(stack, "model_update"), moved.mean())]
                found += [(stack_key(stack, "model_update_relative"), (moved / size).mean())]
                found += [(stack_key(stack, "stream_update"), distances(here[stream], start[stream], mask).mean())]
        return Readings.of(found)
