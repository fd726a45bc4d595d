"""How far a stack's output moves when its weights are shaken."""

import torch
from torch import Tensor

from normexp.errors import ConfigError
from normexp.probes.context import ProbeContext, distances
from normexp.probes.parameters import matrices
from normexp.probes.probe import Probe, Readings, site_key, stack_key


class OutputShift(Probe):
    """mean ‖f(x, W) − f(x, W + δ)‖² over real tokens, δ Gaussian on every matrix at once   Liu et al. 2020, Theorem 2

    output_shift where f is a stack, stream_shift where it is a stack up to and including a site. Matrices are those of
    the sub-layers; embeddings, norms, biases and a variant's own parameters stay. All stacks are shaken together, so a
    decoder's shift holds what comes to it from the encoder. The noise is the same at every context of a run.
    Forwards have the run's own precision: under bf16 a small shift is rounding.
    noise: standard deviation of δ; relative: as a share of each matrix's own, so that a matrix of zeros stays.
    """

    def __init__(self, noise: float = 1e-3, relative: bool = False) -> None:
        if not noise > 0:
            raise ConfigError(f"probes.output_shift.noise={noise}: a number above 0 is right")
        self.noise, self.relative = noise, relative

    def measure(self, context: ProbeContext) -> Readings:
        here, there = context.trace, self._shaken(context)

        def shift(name: str, stack: str) -> Tensor:
            return distances(here[name], there[name], context.mask_of(stack)).square().mean()

        stacks = [stack.shape.stack for stack in context.model.stacks]
        streams = [(site, name) for site in context.sites if (name := f"{site.name}/stream") in here]
        with torch.no_grad():
            return Readings.of(
                [(stack_key(stack, "output_shift"), shift(f"{stack}/output", stack)) for stack in stacks]
                + [(site_key(site, "stream_shift"), shift(name, site.shape.stack)) for site, name in streams]
            )

    def _shaken(self, context: ProbeContext) -> dict[str, Tensor]:
        """What the forward names once the noise is in."""
        model = context.with_model_copy().model
        with torch.no_grad():
            for name, matrix in matrices(model).items():
                # Drawn on the CPU by name: the same on every device, whatever else the model has.
                noise = torch.randn(matrix.shape, generator=context.generator("output_shift", name)).to(matrix)
                matrix += self.noise * noise * (matrix.std(correction=0) if self.relative else 1)
        return context.trace_of(model)
