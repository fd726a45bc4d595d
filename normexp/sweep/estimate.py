"""What sweeps would cost: the table that a dry run prints, and the line with which a study starts."""

import time
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cache

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from normexp.config.schema import Config
from normexp.config.validate import depths
from normexp.errors import ConfigError, named, one_sentence
from normexp.records.folder import RunFolder
from normexp.sweep.plan import PlannedRun, Sweep, default_jobs, relative_cost
from normexp.sweep.preflight import device_of
from normexp.sweep.progress import clock, count_of
from normexp.sweep.renamed import complete_elsewhere

STRIDE = 3  # layers between the two depths that are measured
MOST_MEASURED = 100  # runs; for more, sizes and times are only measured on request
MOST_SHOWN = 50  # rows of the table


def dry_run(sweep: Sweep, jobs: int, *, measure: bool = False, hint: str = "") -> RenderableType:
    """The runs with parameters, steps, time and state, and the time of all of them, `jobs` at a time.

    The time is measured: some steps at depth 1 and 4 with the run's sizes, extrapolated to its depth, without probes.
    If this machine lacks a run's device, its CPU is measured instead, and the last line says so.
    measure: also for sweeps of more than MOST_MEASURED runs; otherwise the table of these only names the runs, and the
    last line says how to measure them, if there is a hint.
    """
    measure = measure or len(sweep.runs) <= MOST_MEASURED
    done = [_done(run, folder) for run, folder in _pairs(sweep)]
    seconds = [_seconds(run.config) if measure else 0.0 for run in sweep.runs]

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("run", *(("parameters",) if measure else ()), "steps", *(("time",) if measure else ()), "state"):
        table.add_column(column, justify="left" if column in ("run", "state") else "right", no_wrap=True)
    for run, cost, complete in list(zip(sweep.runs, seconds, done, strict=True))[:MOST_SHOWN]:
        measured = (f"{_parameters(_without_seed(run.config)):,}",) if measure else ()
        timed = (clock(cost) if run.config.steps else "–",) if measure else ()
        table.add_row(run.name, *measured, str(run.config.steps), *timed, "complete" if complete else "to do")
    if (hidden := len(sweep.runs) - MOST_SHOWN) > 0:
        table.add_row(f"… and {count_of(hidden)} more")
    left = [cost for cost, complete in zip(seconds, done, strict=True) if not complete]
    return Group(table, Text(_caption(sweep, left, jobs, measure, hint), overflow="fold"))


def _caption(sweep: Sweep, todo: Sequence[float], jobs: int, measure: bool, hint: str) -> str:
    about = f"{count_of(len(sweep.runs))} in {sweep.path}"
    if not measure:
        return f"{about}; {count_of(len(todo))} to do" + (f" ({hint})" if hint else "")
    if not any(run.config.steps for run in sweep.runs):
        return about
    left = max([*todo, sum(todo) / jobs], default=0.0)
    instead = _instead(run.config for run in sweep.runs)
    return f"{about}; to do: about {clock(left)} with {jobs} at a time" + (f"; {instead}" if instead else "")


def unfinished(sweep: Sweep) -> list[Config]:
    """The configs of the runs that are not complete."""
    return [run.config for run, folder in _pairs(sweep) if not _done(run, folder)]


def measured(sweeps: Sequence[Sweep], jobs: int) -> tuple[int, float]:
    """The runs of these sweeps that are not complete, and about how many seconds they take, one sweep after the other.

    Of each sweep the costliest run is measured, a few steps or one measurement of an untrained model; the others are
    scaled to it.
    """
    seconds, count = 0.0, 0
    for sweep in sweeps:
        todo = unfinished(sweep)
        count += len(todo)
        if todo:
            costs = [relative_cost(config) for config in todo]
            costliest = todo[costs.index(max(costs))]
            longest = _seconds(costliest) if costliest.steps else _seconds_untrained(costliest)
            seconds += longest * max(1.0, sum(costs) / max(costs) / (jobs or default_jobs(sweep)))
    return count, seconds


def forecast(sweeps: Sequence[Sweep], jobs: int) -> str:
    """About how long these sweeps take: "20 runs to do, about 3 minutes with 2 at a time"; empty if all is done.

    Of a device that this machine lacks it says that the CPU was measured instead.
    """
    count, seconds = measured(sweeps, jobs)
    if not count:
        return ""
    about = "less than a minute" if seconds < 60 else f"about {duration(seconds)}"
    instead = _instead(run.config for each in sweeps for run in each.runs)
    at_once = f"{count_of(count)} to do, {about} with {jobs or default_jobs(sweeps[0])} at a time"
    return at_once + (f", {instead}" if instead else "")


def duration(seconds: float) -> str:
    """A time as people say it: 1 minute, 12 minutes, 3.5 hours."""
    if seconds >= 2 * 3600:
        return f"{seconds / 3600:.1f} hours" if seconds < 10 * 3600 else f"{seconds / 3600:.0f} hours"
    return f"{max(1.0, seconds / 60):.0f} minute{'s' * (seconds >= 90)}"


def longest(sweep: Sweep) -> float:
    """About how many seconds the costliest run takes on one core of this machine, which a GPU will not exceed."""
    config = _on_cpu(max((run.config for run in sweep.runs), key=relative_cost))
    return _seconds(config) if config.steps else _seconds_untrained(config)


def _done(run: PlannedRun, folder: RunFolder) -> bool:
    return folder.path.is_dir() and folder.finished_as(run.config)


def _pairs(sweep: Sweep) -> list[tuple[PlannedRun, RunFolder]]:
    """Each run with its folder, or the one in which it is complete under an earlier name."""
    elsewhere = complete_elsewhere(sweep)
    folders = (RunFolder(elsewhere.get(folder.path, folder.path)) for folder in sweep.folders)
    return list(zip(sweep.runs, folders, strict=True))


def _on_cpu(config: Config) -> Config:
    """The config as the CPU of this machine trains it, without the number formats and the compiler of a GPU."""
    return replace(config, training=replace(config.training, device="cpu", amp="none", compile=False))


def _here(config: Config) -> Config:
    """The config as it can be measured here: on the CPU where this machine lacks its device."""
    return config if _has(config.training.device) else _on_cpu(config)


@cache
def _has(device: str) -> bool:
    """Whether this machine has a device; the plan of a sweep that runs elsewhere takes any."""
    try:
        device_of(device)
    except ConfigError:
        return False
    return True


def _instead(configs: Iterable[Config]) -> str:
    """That a time was measured on the CPU instead of a device that is not here; empty if all of them are."""
    lacking = [device for device in dict.fromkeys(each.training.device for each in configs) if not _has(device)]
    return f"measured on this machine's CPU instead of {' and '.join(lacking)}" if lacking else ""


def _without_seed(config: Config) -> Config:
    """The config without what changes neither size nor speed, so that equal ones are measured once."""
    return replace(config, seed=0, lr=1.0, warmup="0", name="", probes=())


def _measuring(config: Config) -> AbstractContextManager[None]:
    """What a class raises while a run is measured, as a ConfigError that names the variant."""
    variant = f"variant={config.variant.name}"
    return one_sentence(
        lambda error: f"{variant} cannot be measured: {named(error)}; normexp check {variant} says more"
    )


@cache
def _parameters(config: Config) -> int:
    import torch

    from normexp.data.corpus import load_corpus
    from normexp.model.build import build

    with _measuring(config), torch.device("meta"):
        model = build(config, load_corpus(config.data))
    return sum(p.numel() for p in model.parameters())


def _seconds(config: Config) -> float:
    if not config.steps:
        return 0.0
    same = replace(_without_seed(_here(config)), depth=1, steps=1)
    one, more = _seconds_per_step(_at_depth(same, 1), _at_depth(same, 1 + STRIDE))
    layers = [depth for depth in depths(config) if depth]
    depth = sum(layers) / len(layers)
    return config.steps * (one + max(more - one, 0) / STRIDE * (depth - 1))


def _at_depth(config: Config, depth: int) -> Config:
    return replace(config, model=replace(config.model, encoder_depth=depth, decoder_depth=depth))


def _seconds_untrained(config: Config) -> float:
    """What building a model and measuring it once takes."""
    import torch

    from normexp.data.corpus import load_corpus
    from normexp.probes.probe_set import ProbeSet
    from normexp.training.trainer import Trainer

    config = _here(config)
    torch.set_num_threads(config.training.threads)
    corpus = load_corpus(config.data)
    start = time.perf_counter()
    with _measuring(config):
        trainer = Trainer(config, corpus).calibrate()
        batch = next(trainer.data())
        trainer.backward(batch)
        ProbeSet(config).measure(trainer.probe_context(batch)).frames()
    return time.perf_counter() - start


@cache
def _seconds_per_step(shallow: Config, deeper: Config) -> tuple[float, float]:
    """The fastest of some training steps of two models, taken in turn, so that noise affects both alike."""
    import torch

    from normexp.data.corpus import load_corpus
    from normexp.training.trainer import Trainer

    torch.set_num_threads(shallow.training.threads)
    times: tuple[list[float], list[float]] = ([], [])
    with _measuring(shallow):
        trainers = [Trainer(config, load_corpus(config.data)) for config in (shallow, deeper)]
        data = trainers[0].data()
        for _ in range(8):
            batch = next(data)
            for trainer, own in zip(trainers, times, strict=True):
                start = time.perf_counter()
                loss = trainer.backward(batch)
                trainer.update()
                float(loss)  # waits for the device
                own.append(time.perf_counter() - start)
    return min(times[0]), min(times[1])
