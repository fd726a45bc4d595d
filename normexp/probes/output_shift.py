"""How far the output of a stack moves when noise is added to its weights."""

from collections.abc import Iterator
from typing import ClassVar

import torch

from normexp.errors import ConfigError
from normexp.model.variant import Trace
from normexp.probes.context import ProbeContext, distances
from normexp.probes.parameters import matrices
from normexp.probes.probe import Probe, Readings, site_key, stack_key


class OutputShift(Probe):
    """Mean ‖f(x, W) − f(x, W + δ)‖² over real tokens, with Gaussian noise δ on every matrix (Theorem 2 of the paper).

    output_shift: f is a whole stack. stream_shift: f is the stack up to and including a site. Noise is added to the
    matrices of the sub-layers, not to embeddings, norms, biases and a variant's own parameters. All stacks get noise
    at once, so a decoder's shift includes what comes from the encoder. The noise is the same at every step of a run.
    The theorem is about the expectation over δ, so the shift is averaged over several draws.
    Not divided by ‖f‖²: variants with and without a final norm are not comparable. Forwards run in the precision of
    the run: under bf16 a small shift is rounding.
    noise: standard deviation of δ. relative: as a share of each matrix's own standard deviation, so that a matrix of
    zeros stays; use it for variants that scale their initial matrices. draws: number of δ, one forward each.
    """

    measures = "squared distance per token by which noise on the weights moves a stack's output; small: stable"
    good = "small"
    statistics: ClassVar[dict[str, str]] = {
        "output_shift": "mean squared distance per token between a stack's outputs with and without noise on matrices",
        "stream_shift": "mean squared distance per token between the streams with and without noise on the matrices",
    }
    paper = "liu2020"

    def __init__(self, noise: float = 1e-3, relative: bool = False, draws: int = 8) -> None:
        if not noise > 0:
            raise ConfigError(f"probes.output_shift.noise must be above 0; got {noise}")
        if draws < 1:
            raise ConfigError(f"probes.output_shift.draws must be at least 1; got {draws}")
        self.noise, self.relative, self.draws = noise, relative, draws

    def measure(self, context: ProbeContext) -> Readings:
        here = context.trace
        stacks = [stack.shape.stack for stack in context.model.stacks]
        outputs = [(stack_key(stack, "output_shift"), f"{stack}/output", stack) for stack in stacks]
        streams = [
            (site_key(site, "stream_shift"), name, site.shape.stack)
            for site in context.sites
            if (name := f"{site.name}/stream") in here
        ]
        measured = [*outputs, *streams]
        with torch.no_grad():
            totals = [torch.zeros((), dtype=torch.float64, device=context.batch.source.device) for _ in measured]
            for there in self._noisy_traces(context):
                for total, (_, name, stack) in zip(totals, measured, strict=True):
                    total += distances(here[name], there[name], context.mask_of(stack)).square().mean()
        return Readings.of((key, total / self.draws) for total, (key, _, _) in zip(totals, measured, strict=True))

    def _noisy_traces(self, context: ProbeContext) -> Iterator[Trace]:
        """The trace of a forward through a copy of the model, once per draw of the noise."""
        model = context.with_model_copy().model
        noisy = matrices(model)
        clean = {name: matrix.detach().clone() for name, matrix in noisy.items()}
        scale = {name: self.noise * (w.std(correction=0) if self.relative else 1) for name, w in clean.items()}
        # Drawn on the CPU and by name: the same on every device, whatever other matrices the model has.
        generators = {name: context.generator("output_shift", name) for name in noisy}
        for _ in range(self.draws):
            with torch.no_grad():
                for name, matrix in noisy.items():
                    noise = torch.randn(matrix.shape, generator=generators[name]).to(matrix)
                    matrix.copy_(clean[name] + scale[name] * noise)
            yield context.trace_of(model)
