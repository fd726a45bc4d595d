"""How far one update moves a stack's output."""

import torch
from torch import Tensor

from normexp.errors import ConfigError
from normexp.model.build import Model
from normexp.probes.context import ProbeContext, distances
from normexp.probes.parameters import matrices
from normexp.probes.probe import Probe, Readings, stack_key

OPTIMIZERS = ("own", "sgd")


class UpdateShift(Probe):
    """mean ‖f(x, W′) − f(x, W)‖² over real tokens, f a stack, W′ after one step   Wang et al. 2022, Theorem 4.2

    The step is made on the batch that it is measured on. update_shift; update_shift_norm is the mean of ‖·‖, not
    squared. The squared one is also Liu et al. 2020's, beside output_shift.
    Forwards have the run's own precision: under bf16 a small shift is rounding.
    optimizer: own is the coming update of the run, its clipping and its rate; sgd is W − lr·gradient for every
    parameter, unclipped, for runs whose optimizers differ. lr and matrices are read by sgd alone.
    matrices: step those of the sub-layers alone, as in the theorem, and no embedding, norm or bias.
    """

    reads_grad = True

    def __init__(self, optimizer: str = "own", lr: float = 1e-3, matrices: bool = False) -> None:
        if optimizer not in OPTIMIZERS:
            raise ConfigError(f"probes.update_shift.optimizer={optimizer}: {' or '.join(OPTIMIZERS)} is right")
        if not lr > 0:
            raise ConfigError(f"probes.update_shift.lr={lr}: a number above 0 is right")
        self.optimizer, self.lr, self.matrices = optimizer, lr, matrices

    def measure(self, context: ProbeContext) -> Readings:
        """NaN where the gradient is not finite."""
        after = context.updated_model() if self.optimizer == "own" else self._descended(context)
        here, there = context.trace, context.trace_of(after)
        found = []
        with torch.no_grad():
            for stack in (stack.shape.stack for stack in context.model.stacks):
                shift = distances(here[f"{stack}/output"], there[f"{stack}/output"], context.mask_of(stack))
                found += [(stack_key(stack, "update_shift"), shift.square().mean())]
                found += [(stack_key(stack, "update_shift_norm"), shift.mean())]
        return Readings.of(found)

    def _descended(self, context: ProbeContext) -> Model:
        """A copy of the model after a step of plain gradient descent."""
        model = context.with_model_copy().model
        with torch.no_grad():
            stepped = matrices(model) if self.matrices else dict[str, Tensor](model.named_parameters())
            for name, ours in context.model.named_parameters():
                if name in stepped and ours.grad is not None:
                    stepped[name].sub_(ours.grad, alpha=self.lr)
        return model
