"""The gradient norm of every parameter, and one number per site."""

import torch

from normexp.probes.context import ProbeContext
from normexp.probes.parameters import ParameterNorms
from normexp.probes.probe import Probe, Readings


class GradientNorm(Probe):
    """√Σ g² of every parameter's and every site's gradient, before clipping, in float32   any optimiser's log

    The gradients are those of the training step itself, as its backward left them in .grad. A site's row has
    parameter ''.
    """

    waits, reads_grad = False, True

    def __init__(self) -> None:
        self._norms: ParameterNorms | None = None

    def measure(self, context: ProbeContext) -> Readings:
        """0 where nothing flowed back."""
        if self._norms is None or self._norms.model is not context.model:
            self._norms = ParameterNorms(context.model)
            self._keys = self._norms.keys("grad_norm")
        grads = [p.grad if p.grad is not None else torch.zeros_like(p) for p in self._norms.parameters]
        return Readings(self._keys, self._norms.of(grads))
