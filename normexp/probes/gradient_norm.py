"""Gradient norm of every parameter and of every site."""

from typing import ClassVar

import torch

from normexp.probes.context import ProbeContext
from normexp.probes.parameters import ParameterNorms
from normexp.probes.probe import Probe, Readings


class GradientNorm(Probe):
    """√Σ g² for every parameter and every site, before clipping, in float32.

    The gradients are those that the backward of the training step left in .grad. The row of a site has parameter ''.
    """

    measures = "Frobenius norm of the loss gradient, before clipping"
    good = "equal over layers"
    statistics: ClassVar[dict[str, str]] = {
        "grad_norm": "norm of the gradient of all parameters of a site, before clipping"
    }

    waits, reads_grad = False, True

    def __init__(self) -> None:
        self._norms: ParameterNorms | None = None

    def measure(self, context: ProbeContext) -> Readings:
        """Gradient norms; 0 for a parameter without a gradient."""
        if self._norms is None or self._norms.model is not context.model:
            self._norms = ParameterNorms(context.model)
            self._keys = self._norms.keys("grad_norm")
        grads = [p.grad if p.grad is not None else torch.zeros_like(p) for p in self._norms.parameters]
        return Readings(self._keys, self._norms.of(grads))
