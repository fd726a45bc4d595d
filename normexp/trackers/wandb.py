"""Weights & Biases: a run each, grouped by sweep. WANDB_MODE=offline writes to a folder, for `wandb sync`."""

import os
from pathlib import Path

import wandb

from normexp.trackers.measured import Measured
from normexp.trackers.tracker import Tracker


class Wandb(Tracker):
    """A run has the same id whenever it is exported, so that the server would merge what is written twice."""

    def has(self, run: Measured) -> bool:
        folder = Path(os.environ.get("WANDB_DIR", ".")) / "wandb"
        return any(folder.glob(f"*run-*-{run.id}"))

    def write(self, run: Measured) -> None:
        settings = wandb.Settings(silent=True, console="off", x_disable_stats=True)
        with wandb.init(
            project=self.project, group=run.sweep, name=run.name, id=run.id, config=run.config, settings=settings
        ) as writer:
            for step, values in run.metrics.items():
                writer.log(values, step=step)
            writer.summary.update(run.results)
