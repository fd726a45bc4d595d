"""Weights & Biases: a run each, grouped by sweep. WANDB_MODE=offline writes to a folder, for `wandb sync`."""

import os
from pathlib import Path

import wandb

from normexp.trackers.measured import Measured
from normexp.trackers.tracker import Tracker


class Wandb(Tracker):
    """A run has the same id whenever it is exported, so that the server would merge what is written twice.

    What is written to its end is listed in a file of W&B's folder, which also has the runs that were interrupted.
    """

    def __init__(self, project: str) -> None:
        super().__init__(project)
        self.written = Path(os.environ.get("WANDB_DIR", ".")) / "wandb" / "normexp-exported.txt"

    def has(self, run: Measured) -> bool:
        return self.written.is_file() and f"{self.project}/{run.id}" in self.written.read_text("utf-8").splitlines()

    def write(self, run: Measured) -> None:
        settings = wandb.Settings(silent=True, console="off", x_disable_stats=True)
        with wandb.init(
            project=self.project, group=run.sweep, name=run.name, id=run.id, config=run.config, settings=settings
        ) as writer:
            for step, values in run.metrics.items():
                writer.log(values, step=step)
            writer.summary.update(run.results)
        with self.written.open("a", encoding="utf-8") as file:
            file.write(f"{self.project}/{run.id}\n")
