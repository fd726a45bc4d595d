"""How far a stack's output has moved since training began."""

import torch
from torch import Tensor

from normexp.probes.context import ProbeContext, distances
from normexp.probes.probe import Probe, Readings, stack_key


class ModelUpdate(Probe):
    """mean ‖f(x, θ_t) − f(x, θ₀)‖ over real tokens, f a stack, x the batch of step t   Wang et al. 2022, figure 4

    model_update; 0 at step 1. θ₀ is built anew from the run's seed each time. Both forwards have the dropout and the
    constants of step t, and each the running statistics of its own model.
    """

    def measure(self, context: ProbeContext) -> Readings:
        here, start = context.trace, context.trace_of(context.initial_model())

        def moved(stack: str) -> Tensor:
            return distances(here[f"{stack}/output"], start[f"{stack}/output"], context.mask_of(stack)).mean()

        with torch.no_grad():
            stacks = [stack.shape.stack for stack in context.model.stacks]
            return Readings.of((stack_key(stack, "model_update"), moved(stack)) for stack in stacks)
