"""Trackio: a local database, in the folder TRACKIO_DIR."""

import io
from contextlib import redirect_stdout

import trackio
from trackio.api import Run

from normexp.trackers.measured import Measured
from normexp.trackers.tracker import Tracker

PART = " (incomplete)"  # of the name of a run while it is written


class Trackio(Tracker):
    """Results are settings whose names start with `result.`."""

    def has(self, run: Measured) -> bool:
        return bool(self._named(run.label))

    def write(self, run: Measured) -> None:
        for interrupted in self._named(run.label + PART):
            interrupted.delete()
        about = run.config | {f"result.{key}": value for key, value in run.results.items()}
        with redirect_stdout(io.StringIO()):  # it explains its dashboard after every run
            trackio.init(self.project, run.label + PART, group=run.sweep, config=about, embed=False, auto_log_gpu=False)
            for step, values in run.metrics.items():
                trackio.log(values, step=step)
            trackio.finish()
        for written in self._named(run.label + PART):
            written.rename(run.label)

    def _named(self, name: str) -> list[Run]:
        try:
            return [run for run in trackio.Api().runs(self.project) if run.name == name]
        except ValueError:  # there is no such project yet
            return []
