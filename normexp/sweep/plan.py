"""What a command means: its runs, their names, and where they go. Nothing is started or written."""

import json
import math
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from normexp.config.choice import Choice
from normexp.config.compose import Composer
from normexp.config.grid import configs
from normexp.config.identity import run_name, slugify, sweep_name
from normexp.config.overrides import Request
from normexp.config.schema import EXPERIMENT, SETS, SETTING_OTHERS, Config, ignored_keys
from normexp.config.shape import layer_parameters, sized
from normexp.config.validate import check, check_read, check_stacked, check_times
from normexp.data.columns import task_of
from normexp.errors import ConfigError
from normexp.records.atomic import replacing
from normexp.records.folder import NO_RUNS, RunFolder
from normexp.records.reading import Damaged, read_bytes
from normexp.sweep.budget import budgeted
from normexp.sweep.preflight import check_buildable, device_of
from normexp.sweep.sizes import check_size

LONGEST_NAME = 100  # characters of a sweep's name
MOST_RUNS = 10_000  # that a sweep has without --yes
LIMIT_RUNS = 1_000_000


@dataclass(frozen=True)
class PlannedRun:
    """One combination: its config and the name of its folder."""

    config: Config
    name: str


@dataclass(frozen=True)
class Sweep:
    """The runs of one command.

    overrides: as the user gave them. swept: the keys with several values. launcher: of Hydra, if the user named one,
    with the other `hydra` overrides. Runs of `normexp train` have no sweep around them: their folders are neighbours
    in results/train, and all of them count.
    """

    name: str
    results: Path
    overrides: tuple[str, ...]
    swept: tuple[str, ...]
    runs: tuple[PlannedRun, ...]
    launcher: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        return self.results / self.name

    @cached_property
    def folders(self) -> tuple[RunFolder, ...]:
        """The folder of each run, in the order of the runs."""
        return tuple(RunFolder(self.path / run.name) for run in self.runs)

    def create(self) -> None:
        """Write the sweep's own file, and a pending folder for every run that has none."""
        for run, folder in zip(self.runs, self.folders, strict=True):
            folder.create(run.config)
        if not self.swept:
            return
        about = {"name": self.name, "overrides": self.overrides, "swept": self.swept}
        runs = {"runs": [run.name for run in self.runs]}
        path, text = self.path / "sweep.json", json.dumps(about | runs, indent=1)
        with suppress(Damaged):
            if read_bytes(path, len(text.encode()) + 1) == text.encode():
                return  # its time says when the sweep last changed
        with replacing(path) as temporary:
            temporary.write_text(text, "utf-8")


def plan(
    command: str,
    overrides: Sequence[str],
    *,
    config_dirs: Sequence[str] = (),
    name: str = "",
    many: bool = False,
    elsewhere: bool = False,
) -> Sweep:
    """The runs of a command, in the order of its overrides.

    command: sweep, probe, or train, which is a sweep of one run. name: of the sweep; empty means one made from the
    overrides. many: more than MOST_RUNS runs are meant. elsewhere: they run on other machines, so a device that the
    user names is taken as given, and the size of this machine does not count.
    Raises ConfigError, with nothing written, if any run cannot be built.
    """
    composer = Composer(command, config_dirs)
    asked = composer.parse(overrides)
    launcher = tuple(request.text for request in asked if request.key.startswith("hydra"))
    requests = [request for request in asked if not request.key.startswith("hydra")]
    given = {request.key for request in requests}
    if command != "train" or EXPERIMENT in given:
        grid = composer.defaults(requests)
        requests = composer.parse(f"{key}={value}" for key, value in grid.items() if key not in given) + requests
    requests = _with_task(composer, requests)
    swept = _swept(command, requests)
    _check_runs(math.prod(len(request.values) for request in requests), many)
    set_keys = {request.key for request in requests}

    runs: dict[str, PlannedRun] = {}
    pinned: dict[Choice, Choice] = {}  # with what their files hold now
    for config in configs(composer, requests):
        check(config)
        check_stacked(config)
        config = sized(config, set_keys)
        check_read(config, set_keys)
        check_buildable(config, set_keys)
        if not elsewhere or config.training.device == "auto":
            config = replace(config, training=replace(config.training, device=device_of(config.training.device)))
        if config.data.fingerprint:
            if config.data not in pinned:
                pinned[config.data] = config.data.planned()
            config = replace(config, data=pinned[config.data])
        if not (launcher or elsewhere):
            check_size(config)
        config = budgeted(config, set_keys)  # builds the model, so its size is checked before
        check_times(config)
        run = PlannedRun(config, run_name(config, swept))
        runs.setdefault(run.name, run)
    first = next(iter(runs.values())).config
    named = [request.key for request in requests if request.swept]
    own_name = sweep_name((request.text for request in requests), named, first) if swept else command
    if swept and command == "probe":
        own_name = f"probe-{own_name}"
    return Sweep(
        name=_checked_name(name or first.name) or own_name,
        results=Path(first.results),
        overrides=tuple(overrides),
        swept=swept,
        runs=tuple(runs.values()),
        launcher=launcher,
    )


def _with_task(composer: Composer, requests: list[Request]) -> list[Request]:
    """The requests, with the task that the data is for, where the user chose data and no task."""
    keys = {request.key.partition(".")[0] for request in requests if not request.swept}
    if "data" not in keys or "task" in {request.key.partition(".")[0] for request in requests}:
        return requests
    config = composer.compose([request.override(request.values[0]) for request in requests])
    task = task_of(config.data.options) if config.data.fingerprint else ""
    return composer.parse([f"task={task}"]) + requests if task and task != config.task.name else requests


def _check_runs(count: int, many: bool) -> None:
    if count > LIMIT_RUNS:
        raise ConfigError(f"the overrides name {count:,} runs; a sweep has at most {LIMIT_RUNS:,}")
    if count > MOST_RUNS and not many:
        raise ConfigError(f"the overrides name {count:,} runs; add --yes if you mean more than {MOST_RUNS:,}")


def _swept(command: str, requests: Sequence[Request]) -> tuple[str, ...]:
    """The config keys that vary."""
    several = [request for request in requests if request.swept]
    if command == "train" and several:
        raise ConfigError(f"{several[0].key} must have one value here; `normexp sweep` takes several")
    named = [request.key for request in several]
    if "probe" in named:
        raise ConfigError("probe must be one list, for example probe=[stream,dependency]; every run makes all of them")
    if unread := [key for key in named if key in ignored_keys() and key not in SETTING_OTHERS]:
        raise ConfigError(f"{unread[0]} must have one value: it does not change what a run computes")
    return tuple(dict.fromkeys(key for name in named for key in SETS.get(name, (name,))))


def _checked_name(name: str) -> str:
    cleaned = slugify(name)
    if name in NO_RUNS:
        raise ConfigError(f"name must not be {name}, which is a folder of figures or jobs in every sweep")
    if name and cleaned != name:
        raise ConfigError(f"name must consist of letters, digits and . _ + -; got {name!r}")
    if len(cleaned) > LONGEST_NAME:
        raise ConfigError(f"name must have at most {LONGEST_NAME} characters; got {len(cleaned)}")
    return cleaned


def relative_cost(config: Config) -> float:
    """Cost of a run in units of its own: steps × tokens × multiply-adds of its layers."""
    return float(max(1, config.steps) * config.training.batch_tokens * layer_parameters(config))


def default_jobs(sweep: Sweep) -> int:
    """Runs at a time: one per core that this process may use; one on a GPU, which runs would otherwise share."""
    return jobs_for(run.config.training.device for run in sweep.runs)


def jobs_for(devices: Iterable[str]) -> int:
    """The same for the devices of some runs."""
    if any(device != "cpu" for device in devices):
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
