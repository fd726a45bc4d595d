"""The probes that a run asked for, and when."""

import time
from collections.abc import Iterator
from typing import Any

import torch

from normexp.probes.moment import Moment
from normexp.probes.probe import Probe, Readings
from normexp.target import maker


class Chosen:
    """Every probe of `config["probes"]`, at step 1, at the last one, and at every multiple of probe.every."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.every, self.steps = config["probe"]["every"], config["steps"]
        self.probes: dict[str, Probe] = {
            name: maker(f"probes.{name}", {"name": name, **node})() for name, node in config["probes"].items()
        }

    def due(self, step: int) -> bool:
        return bool(self.every and self.probes) and (step in (1, self.steps) or step % self.every == 0)

    def measure(self, moment: Moment) -> "Measured":
        """What each of them reads now, and how many seconds it took where it waits for the device."""
        readings, seconds = [], {}
        for name, probe in self.probes.items():
            start = _now(moment) if probe.waits else 0.0
            readings.append(probe.measure(moment))
            if probe.waits:
                seconds[name] = _now(moment) - start
        return Measured(moment.step, readings, seconds)


class Measured:
    """The readings of one moment, still on the device, and their cost."""

    def __init__(self, step: int, readings: list[Readings], seconds: dict[str, float]) -> None:
        self.step, self.readings, self.seconds = step, readings, seconds

    def frames(self) -> Iterator[Any]:
        """Rows for the table `layers`, probe by probe."""
        for readings in self.readings:
            if len(readings.keys):
                yield readings.frame(self.step)


def _now(moment: Moment) -> float:
    if (device := moment.batch.source.device).type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
