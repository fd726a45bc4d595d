"""MLflow: one experiment, on the server or in the store that MLFLOW_TRACKING_URI names."""

import os
from importlib.util import find_spec

from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient

from normexp.errors import ConfigError
from normexp.trackers.measured import Measured
from normexp.trackers.tracker import Tracker

AT_ONCE = 100  # parameters that the server accepts at once; ten times as many metrics
LONGEST = 500  # characters of a parameter that every server accepts
TAG = "normexp.run"


class MLflow(Tracker):
    """Settings are parameters, results are metrics or tags; the tag normexp.run finds a run again."""

    def __init__(self, project: str) -> None:
        super().__init__(project)
        if "MLFLOW_TRACKING_URI" not in os.environ and find_spec("sqlalchemy") is None:
            raise ConfigError(
                "MLFLOW_TRACKING_URI must name a server, such as http://localhost:5000; a local store needs the whole "
                "package (pip install mlflow)"
            )
        self.client = MlflowClient()
        known = self.client.get_experiment_by_name(project)
        self.experiment = known.experiment_id if known else self.client.create_experiment(project)

    def has(self, run: Measured) -> bool:
        return bool(self.client.search_runs([self.experiment], f"tags.`{TAG}` = '{run.id}' and status = 'FINISHED'"))

    def write(self, run: Measured) -> None:
        time = round(1000 * run.seconds)
        tags = {"sweep": run.sweep, TAG: run.id}
        numbers = {key: value for key, value in run.results.items() if isinstance(value, int | float)}
        tags |= {key: str(value) for key, value in run.results.items() if key not in numbers}
        made = self.client.create_run(self.experiment, start_time=time, tags=tags, run_name=run.label)
        parameters = [Param(key, str(value)[:LONGEST]) for key, value in run.config.items()]
        last = max(run.metrics, default=0)
        metrics = [Metric(f"result/{key}", float(value), time, last) for key, value in numbers.items()]
        metrics += [Metric(name, value, time, step) for step, at in run.metrics.items() for name, value in at.items()]
        for i in range(0, len(parameters), AT_ONCE):
            self.client.log_batch(made.info.run_id, params=parameters[i : i + AT_ONCE])
        for i in range(0, len(metrics), 10 * AT_ONCE):
            self.client.log_batch(made.info.run_id, metrics=metrics[i : i + 10 * AT_ONCE])
        self.client.set_terminated(made.info.run_id, end_time=time)
