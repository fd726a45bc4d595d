"""Trackio: a local database, in the folder TRACKIO_DIR."""

import io
from contextlib import redirect_stdout

import trackio

from normexp.trackers.measured import Measured
from normexp.trackers.tracker import Tracker


class Trackio(Tracker):
    """Results are settings whose names start with `result.`."""

    def has(self, run: Measured) -> bool:
        try:
            return any(each.name == run.label for each in trackio.Api().runs(self.project))
        except ValueError:  # there is no such project yet
            return False

    def write(self, run: Measured) -> None:
        about = run.config | {f"result.{key}": value for key, value in run.results.items()}
        with redirect_stdout(io.StringIO()):  # it explains its dashboard after every run
            trackio.init(self.project, run.label, group=run.sweep, config=about, embed=False, auto_log_gpu=False)
            for step, values in run.metrics.items():
                trackio.log(values, step=step)
            trackio.finish()
