"""What the loop writes down: tables, events, status, checkpoints."""

import math
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor

from normexp.errors import DivergedError
from normexp.probes.probe import KEY
from normexp.probes.probe_set import Measurements
from normexp.records.events import Events, curve_tag, layer_tag
from normexp.records.folder import RunFolder
from normexp.records.hparams import METRICS, hparams, swept_by
from normexp.records.tables import Table
from normexp.training.trainer import Trainer, save

STATUS_SECONDS = 0.5  # at most so often is status.json rewritten


class Recorder:
    """The run's tables and events. Values wait on the device until they are flushed together."""

    def __init__(self, folder: RunFolder, trainer: Trainer) -> None:
        self.folder, self.trainer = folder, trainer
        self.curves, self.layers, self.timing = tables = [
            Table(folder.path, name) for name in ("curves", "layers", "timing")
        ]
        if trainer.done:
            for table in tables:
                table.load(trainer.done)
        self.events = self._open_events()
        self._waiting: list[tuple[int, Tensor, Measurements | None]] = []
        timing = self.timing.frame()
        times = timing.loc[timing["statistic"] == "seconds", "value"]
        self._earlier = float(times.iloc[-1]) if len(times) else 0.0
        self._started, self._updated = time.perf_counter(), 0.0

    @property
    def seconds(self) -> float:
        """Wall-clock time of this run so far, earlier attempts included as far as a checkpoint kept them."""
        return self._earlier + time.perf_counter() - self._started

    def add_step(self, step: int, nll: Tensor, measured: Measurements | None) -> None:
        """Keep a step's loss and what its probes read, where they are."""
        self._waiting.append((step, nll, measured))

    def flush(self) -> None:
        """Read what waits off the device, all at once.

        Raises DivergedError at the first loss that is not finite; that row is kept, later ones are not.
        """
        waiting, self._waiting = self._waiting, []
        losses = torch.stack([nll for _, nll, _ in waiting]).tolist() if waiting else []
        for (step, _, measured), loss in zip(waiting, losses, strict=True):
            rows = [("nll", loss)]
            if self.trainer.config.steps:
                rows.append(("lr", self.trainer.config.lr * self.trainer.rate(step)))
            values: dict[str, float] = {}
            for frame in measured.frames() if measured else ():
                self.layers.add(frame)
                values |= dict(zip(map(layer_tag, *(frame[c] for c in KEY)), frame["value"], strict=True))
                norms = frame.loc[(frame["statistic"] == "grad_norm") & (frame["parameter"] != ""), "value"]
                rows += [("grad_norm", float(np.sqrt(np.square(norms).sum())))] if len(norms) else []
            if measured and measured.seconds:
                self.timing.extend((step, f"probe.{name}", seconds) for name, seconds in measured.seconds.items())
            self.curves.extend((step, "train", name, value) for name, value in rows)
            self.events.write(step, values | {curve_tag(name, "train"): value for name, value in rows})
            if not math.isfinite(loss):
                raise DivergedError(step)
        if losses and self.seconds - self._updated > STATUS_SECONDS:
            self._updated = self.seconds
            self.folder.update(step=waiting[-1][0], loss=losses[-1], seconds=self.seconds)

    def add_evaluation(self, step: int, values: dict[str, float]) -> None:
        """Keep what an evaluation on the validation part gave."""
        self.curves.extend((step, "valid", name, value) for name, value in values.items())
        self.events.write(step, {curve_tag(name, "valid"): value for name, value in values.items()})

    def save(self, *, trunk: bool = False) -> None:
        """Tables first, then the checkpoint: rows past the checkpoint are dropped again on resume.

        trunk: this checkpoint is kept for longer runs too.
        """
        self.write_tables()
        if trunk:
            self.trainer.save(self.folder.trunk)
        self.trainer.save(self.folder.checkpoint)

    def write_tables(self) -> None:
        self.timing.extend([(self.trainer.done, "seconds", self.seconds)])
        for table in (self.curves, self.layers, self.timing):
            table.write()
        self.events.flush()

    def finish(self, result: dict[str, Any]) -> None:
        """The run is over: its status holds the result, its weights stay, its checkpoint goes."""
        if self.trainer.done:  # else the seed alone gives them
            save(self.trainer.weights(), self.folder.weights)
        status = {"state": "completed", "step": self.trainer.done, "seconds": self.seconds, **result}
        self.events.finish(status)
        self.events.close()
        self.folder.update(**status)
        self.folder.checkpoint.unlink(missing_ok=True)

    def _open_events(self) -> Events:
        config, events = self.trainer.config, Events(self.folder.path)
        stacks = self.trainer.model.stacks
        unit = "nats" if config.task.name == "classification" else "nats per token"
        events.layout({s.shape.stack: list(s.variant.sites(1)) for s in stacks}, unit)
        swept = swept_by(self.folder.path)
        events.hparams(hparams(config, swept), METRICS[config.task.name], swept)
        events.replay(self.curves.frame(), self.layers.frame())
        return events
