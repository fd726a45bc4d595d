"""The trackers by name. Each is a small class that writes one run through the tracker's own package."""

from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from importlib.util import find_spec

from normexp.errors import ConfigError
from normexp.trackers.measured import Measured

TRACKERS = {"wandb": "Wandb", "mlflow": "MLflow", "trackio": "Trackio"}  # module here and package: class


class Tracker:
    """Runs of one project. Where they go is up to the tracker's own settings, such as WANDB_MODE."""

    def __init__(self, project: str) -> None:
        self.project = project

    def has(self, run: Measured) -> bool:
        """Whether an earlier export wrote this run."""
        raise NotImplementedError

    def write(self, run: Measured) -> None:
        """Write one run to its end."""
        raise NotImplementedError


def export(name: str, project: str, runs: Iterable[Measured]) -> Iterator[str]:
    """Write runs to a tracker; yield one line per run. Those that an earlier export wrote are skipped.

    Raises ConfigError if the package is missing, or if the tracker refuses a run.
    """
    if find_spec(name) is None:
        raise ConfigError(f"export {name} needs {name}; pip install 'normexp[{name}]'")
    make: Callable[[str], Tracker] = getattr(import_module(f"normexp.trackers.{name}"), TRACKERS[name])
    try:
        tracker = make(project)
        for run in runs:
            if tracker.has(run):
                yield f"{run.label}: in {name} already"
            else:
                tracker.write(run)
                yield f"{run.label}: written"
    except (ConfigError, OSError) as error:
        raise ConfigError(f"{name} refused the run: {error}") from error
    except Exception as error:  # each tracker has its own errors
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise ConfigError(f"{name} refused the run: {(lines or [type(error).__name__])[0]}") from error
