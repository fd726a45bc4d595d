"""The probes of a run, and the steps at which they run."""

import time
from collections.abc import Iterator
from typing import Any

import torch

from normexp.config.schema import Config
from normexp.probes.context import ProbeContext
from normexp.probes.probe import Probe, Readings


class ProbeSet:
    """Every probe of `config.probes`: due at step 1, at the last step and at every multiple of probe.every."""

    def __init__(self, config: Config) -> None:
        self.every, self.steps = config.probe.every, config.steps
        self.probes: dict[str, Probe] = {probe.name: probe.build() for probe in config.probes}

    @property
    def read_grad(self) -> bool:
        """Whether any of them reads the .grad that a backward leaves."""
        return any(probe.reads_grad for probe in self.probes.values())

    def due(self, step: int) -> bool:
        """Whether the probes run at this step."""
        return bool(self.every and self.probes) and (step in (1, self.steps) or step % self.every == 0)

    def measure(self, context: ProbeContext) -> "Measurements":
        """Run every probe, and time those that wait for the device."""
        readings, seconds = [], {}
        for name, probe in self.probes.items():
            start = _now(context) if probe.waits else 0.0
            readings.append(probe.measure(context))
            if probe.waits:
                seconds[name] = _now(context) - start
        return Measurements(context.step, readings, seconds)


class Measurements:
    """The readings of all probes at one step, still on the device, and the seconds that each probe took."""

    def __init__(self, step: int, readings: list[Readings], seconds: dict[str, float]) -> None:
        self.step, self.readings, self.seconds = step, readings, seconds

    def frames(self) -> Iterator[Any]:
        """Rows for the table `layers`, one frame per probe."""
        for readings in self.readings:
            if len(readings.keys):
                yield readings.frame(self.step)


def _now(context: ProbeContext) -> float:
    if (device := context.batch.source.device).type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
