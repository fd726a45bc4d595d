"""How far one update moves the output of a stack."""

from typing import ClassVar

import torch
from torch import Tensor

from normexp.errors import ConfigError
from normexp.model.build import Model
from normexp.probes.context import ProbeContext, distances
from normexp.probes.parameters import matrices
from normexp.probes.probe import Probe, Readings, stack_key

OPTIMIZERS = ("own", "sgd")


class UpdateShift(Probe):
    """Mean ‖f(x, W′) − f(x, W)‖² over real tokens, for a stack f and the weights W′ after one step (Theorem 4.2).

    The step is made on the batch on which it is measured. update_shift_norm is the mean of ‖·‖, not squared. Liu et
    al. 2020 use the squared distance too. Forwards run in the precision of the run: under bf16 a small shift is
    rounding.
    optimizer: `own` is the coming update of the run, with its clipping and rate; `sgd` is W − lr·gradient for every
    parameter, unclipped, to compare runs with different optimizers. Only sgd reads lr and matrices.
    matrices: step only the matrices of the sub-layers, as in the theorem, and no embedding, norm or bias.
    """

    measures = "distance per token by which one update moves the output of a stack; small: the update is stable"
    good = "small"
    statistics: ClassVar[dict[str, str]] = {
        "update_shift": "mean squared distance per token between a stack's outputs before and after one update",
        "update_shift_norm": "mean distance per token between a stack's outputs before and after one update",
    }
    paper = "wang2022_deepnet"

    reads_grad = True

    def __init__(self, optimizer: str = "own", lr: float = 1e-3, matrices: bool = False) -> None:
        if optimizer not in OPTIMIZERS:
            raise ConfigError(f"probes.update_shift.optimizer must be {' or '.join(OPTIMIZERS)}; got {optimizer}")
        if not lr > 0:
            raise ConfigError(f"probes.update_shift.lr must be above 0; got {lr}")
        self.optimizer, self.lr, self.matrices = optimizer, lr, matrices

    def measure(self, context: ProbeContext) -> Readings:
        """Shift of every stack; NaN where the gradient is not finite."""
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
        """A copy of the model after one step of plain gradient descent."""
        model = context.with_model_copy().model
        with torch.no_grad():
            stepped = matrices(model) if self.matrices else dict[str, Tensor](model.named_parameters())
            for name, ours in context.model.named_parameters():
                if name in stepped and ours.grad is not None:
                    stepped[name].sub_(ours.grad, alpha=self.lr)
        return model
