"""What a tracker has to do, and the export of runs to one of them through its own package."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from importlib import import_module
from importlib.util import find_spec

from normexp.config.names import unknown
from normexp.errors import ConfigError, line_of, one_sentence
from normexp.trackers import TRACKERS
from normexp.trackers.measured import Measured


class Tracker(ABC):
    """Runs of one project. Where they go is up to the tracker's own settings, such as WANDB_MODE."""

    def __init__(self, project: str) -> None:
        self.project = project

    @abstractmethod
    def has(self, run: Measured) -> bool:
        """Whether an earlier export wrote this run."""

    @abstractmethod
    def write(self, run: Measured) -> None:
        """Write one run to its end."""


def connect(name: str, project: str) -> Tracker:
    """A project of the tracker with this name.

    Raises ConfigError for an unknown name, if the package is missing, or if the tracker refuses.
    """
    if name not in TRACKERS:
        raise ConfigError(unknown("TRACKER", name, list(TRACKERS)))
    if find_spec(name) is None:
        raise ConfigError(f"export {name} needs {name}; pip install 'normexp[{name}]'")
    make: Callable[[str], Tracker] = getattr(import_module(f"normexp.trackers.{name}"), TRACKERS[name])
    with _refusals(name):
        return make(project)


def export(name: str, tracker: Tracker, runs: Iterable[Measured]) -> Iterator[str]:
    """Write runs to a tracker; yield one line per run. Those that an earlier export wrote are skipped.

    name: of the tracker. Raises ConfigError if it refuses a run.
    """
    for run in runs:
        with _refusals(name):
            known = tracker.has(run)
            if not known:
                tracker.write(run)
        yield f"{run.label}: in {name} already" if known else f"{run.label}: written"


def _refusals(name: str) -> AbstractContextManager[None]:
    """What a tracker raises, as a ConfigError. Each tracker has errors of its own."""
    return one_sentence(lambda error: f"{name} refused: {line_of(error)}")
