"""The runs of a map: first those that find the best learning rate of every point, then fresh seeds at that rate.

A point is one combination of all swept keys but the learning rate and the seed, such as a variant at a depth.
"""

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from normexp.config.compose import Composer
from normexp.config.identity import run_name, sweep_name
from normexp.config.schema import Config
from normexp.errors import ConfigError
from normexp.maps.known import known_runs
from normexp.maps.rates import FARTHEST, LEAST, Tried, best, first_rate, next_rates
from normexp.records.folder import RunFolder
from normexp.records.outcome import HAS_LEARNED
from normexp.studies.verdict import LOSS_MARGIN
from normexp.sweep.executor import run_sweep
from normexp.sweep.plan import PlannedRun, Sweep, plan
from normexp.sweep.pools import Pool
from normexp.sweep.progress import count_of

TUNING_SEED = 100  # of the search alone; no reported loss uses it
EXPONENTS = range(-FARTHEST, FARTHEST + 1)


@dataclass(frozen=True)
class Survey:
    """Every run that a map may need.

    tuning: by point and exponent of the rate. final: by point, exponent and seed. sweep: all of them.
    whole_window: whether the window of usable rates is searched, too. known: the results of runs of an earlier map, by
    the runs' names, which are not trained again.
    """

    sweep: Sweep
    tuning: Mapping[Config, Mapping[int, PlannedRun]]
    final: Mapping[Config, Mapping[int, Sequence[PlannedRun]]]
    whole_window: bool
    known: Mapping[str, Mapping[str, Any]]

    @property
    def points(self) -> list[Config]:
        """One config per point, with the start rate and the tuning seed."""
        return list(self.tuning)

    def with_runs(self, runs: Iterable[PlannedRun]) -> Sweep:
        """The sweep with these runs of it alone, but for those that are known."""
        return replace(self.sweep, runs=tuple(run for run in runs if run.name not in self.known))

    def tried(self, point: Config) -> dict[int, Tried]:
        """The tuning runs of a point that are complete, by exponent."""
        return {k: self._result(run) for k, run in self.tuning[point].items() if self.is_complete(run)}

    def todo(self, slots: int = 1, failed: Collection[str] = ()) -> list[PlannedRun]:
        """The runs of the next round: those that searches ask for, then the fresh seeds of points that are found.

        slots: workers. If the round would keep fewer than half of them busy, or none, points that are waiting for
        shallower ones start as well. failed: the names of runs that are left out.
        """
        found = [run for point in self.points for run in self.next_runs(point)]
        found += [run for point in self.found() for run in self.chosen(point) if not self.is_complete(run)]
        found = [run for run in found if run.name not in failed]
        for point in self.points:
            if _stacks(found) < max(1, slots // 2) and not self.tried(point) and not self.next_runs(point):
                begun = [self.tuning[point][k] for k in self._asked(point, {})]
                found += [run for run in begun if run.name not in failed]
        return found

    def next_runs(self, point: Config) -> list[PlannedRun]:
        """The tuning runs that the search of a point asks for now; none where it is over.

        A search does not begin while a shallower stack of the same kind is still being searched, because it starts from
        that stack's best rate.
        """
        if tried := self.tried(point):
            return [self.tuning[point][k] for k in self._asked(point, tried)]
        alike = self._alike[_without_depth(point)]
        shallower = {each.depth: self.tried(each) for each in alike if each.depth < point.depth}
        if any(self._asked(each, shallower[each.depth]) for each in alike if each.depth in shallower):
            return []
        return [self.tuning[point][k] for k in self._asked(point, {}, first_rate(point.depth, shallower))]

    def found(self) -> list[Config]:
        """The points whose search is over."""
        return [each for each in self.points if not self._asked(each, self.tried(each))]

    def chosen(self, point: Config) -> list[PlannedRun]:
        """The runs of the final seeds at the best rate of a point."""
        return list(self.final[point][best(self.tried(point))])

    def complete(self) -> list[PlannedRun]:
        """The tuning runs that are complete."""
        return [self.tuning[point][k] for point in self.points for k in self.tried(point)]

    def runs(self) -> list[PlannedRun]:
        """The tuning runs that are complete, and the fresh seeds of every point whose search is over."""
        return self.complete() + [run for point in self.found() for run in self.chosen(point)]

    def is_complete(self, run: PlannedRun) -> bool:
        """Whether the run has been trained to its end."""
        if run.name in self.known:
            return True
        at = RunFolder(self.sweep.path / run.name)
        return at.path.is_dir() and at.finished_as(run.config)

    @cached_property
    def _alike(self) -> dict[Config, list[Config]]:
        """The points that differ only in depth, grouped by everything else."""
        found: dict[Config, list[Config]] = {}
        for point in self.points:
            found.setdefault(_without_depth(point), []).append(point)
        return found

    def _asked(self, point: Config, tried: Mapping[int, Tried], first: int = 0) -> list[int]:
        """The exponents that the search of a point asks for, whether it waits for another one or not."""
        margin = LOSS_MARGIN * self._reducible(point, tried) if self.whole_window and tried else 0.0
        return next_rates(tried, margin, first)

    def _reducible(self, point: Config, tried: Mapping[int, Tried]) -> float:
        """blind − floor of the point's corpus."""
        run = self.tuning[point][next(iter(tried))]
        found = self.known.get(run.name) or RunFolder(self.sweep.path / run.name).status["baselines"]
        return float(found["blind"] - found["floor"])

    def _result(self, run: PlannedRun) -> Tried:
        if found := self.known.get(run.name):
            return Tried(found["loss"], found["outcome"] in HAS_LEARNED)
        status = RunFolder(self.sweep.path / run.name).status
        return Tried(loss_of(status), status["outcome"] in HAS_LEARNED)


def survey(
    overrides: Sequence[str],
    *,
    seeds: int = 5,
    window: bool = True,
    known: Path | None = None,
    config_dirs: Sequence[str] = (),
    name: str = "",
    elsewhere: bool = False,
) -> Survey:
    """Plan a map. Raises ConfigError for overrides that set seeds, several rates or no steps, and as `plan` does.

    overrides: as on the command line; lr, if it is set, is the rate in the middle. seeds: at the best rate.
    known: the runs.csv of an earlier map, see `known_runs`. elsewhere: see `plan`.
    """
    composer = Composer("map", config_dirs)
    requests = composer.parse(overrides)
    for request in requests:
        if request.key == "training.stop_stuck" and request.swept:
            raise ConfigError("training.stop_stuck must have one value for `normexp map`")
        if request.key == "seed":
            raise ConfigError(
                f"seed cannot be set for `normexp map`; the search uses seed {TUNING_SEED}, and --seeds N sets the "
                "number of fresh seeds"
            )
        if request.key == "lr" and request.swept:
            raise ConfigError("lr must have one value for `normexp map`, the rate at which the search starts")
    given = plan("map", overrides, config_dirs=config_dirs, name=name, elsewhere=elsewhere).runs
    if not all(run.config.steps for run in given):
        raise ConfigError("steps must be at least 1 for `normexp map`; got 0")
    first = given[0].config
    start = first.lr
    exponents = {float(f"{start * 2.0**k:.6g}"): k for k in EXPONENTS}
    kept = [text for request, text in zip(requests, overrides, strict=True) if request.key != "lr"]
    numbers = ",".join(map(str, (TUNING_SEED, *range(seeds))))
    grid = [*kept, f"lr={','.join(map(str, exponents))}", f"seed={numbers}"]
    sweep = plan("map", grid, config_dirs=config_dirs, name=name, many=True, elsewhere=elsewhere)
    tuning: dict[Config, dict[int, PlannedRun]] = {}
    final: dict[Config, dict[int, list[PlannedRun]]] = {}
    for run in sweep.runs:
        whole = replace(run.config, training=replace(run.config.training, stop_stuck=""))  # its loss is reported
        point, k = replace(whole, lr=start, seed=TUNING_SEED), exponents[run.config.lr]
        if run.config.seed == TUNING_SEED:
            tuning.setdefault(point, {})[k] = run
        else:
            final.setdefault(point, {}).setdefault(k, []).append(PlannedRun(whole, run_name(whole, sweep.swept)))
    # Of the overrides alone, so that more seeds go on with the same search.
    own_name = sweep_name(overrides, [*(request.key for request in requests if request.swept), "lr"], first)
    sweep = replace(sweep, overrides=tuple(overrides), name=name or f"map-{first.name or own_name}")
    every = [run for rates in tuning.values() for run in rates.values()]
    every += [run for rates in final.values() for seeds_of_it in rates.values() for run in seeds_of_it]
    return Survey(sweep, tuning, final, window, known_runs(known, every, sweep.swept) if known else {})


def run(
    asked: Survey,
    make_pool: Callable[[Sweep], Pool],
    say: Callable[[str], None],
    log: Callable[[str], None],
    slots: int = 1,
) -> bool:
    """Bring a map to its end; True if all its runs completed. The same call again resumes it.

    A run that fails is not tried again by this call; its point stays open, and the others go on.
    log: called with a line per round. say: see `run_sweep`. slots: see `Survey.todo`.
    """
    failed: set[str] = set()
    while todo := asked.todo(slots, failed):
        rates = sum(each.config.seed == TUNING_SEED for each in todo)
        log(
            f"round of {count_of(len(todo))}: {rates} for the search, {len(todo) - rates} fresh seeds; "
            f"the best rate is known at {len(asked.found())} of {len(asked.points)} points"
        )
        # Next to those that are complete, so that sweep.json names them while the round is trained.
        sweep = asked.with_runs(dict.fromkeys([*asked.runs(), *todo]))
        if not run_sweep(sweep, make_pool(sweep), say):
            failed |= {run.name for run in todo if not asked.is_complete(run)}
    asked.with_runs(asked.runs()).create()  # seeds too whose point was open for a while
    return not failed


def at_least(asked: Survey) -> Sweep:
    """The runs that a map takes at least: at every point what its search asks for, three rates if it has not begun, and
    the fresh seeds.
    """
    runs = []
    for point in asked.points:
        if asked.tried(point):
            runs += asked.next_runs(point) + asked.chosen(point)
        else:
            runs += [*(asked.tuning[point][k] for k in LEAST), *asked.final[point][0]]
    return asked.with_runs(runs)


def _stacks(runs: Iterable[PlannedRun]) -> int:
    """How many workers these runs keep busy, where those of a point train as stacks."""
    alike = Counter(replace(run.config, seed=0, lr=1.0) for run in runs)
    return sum(-(-count // config.training.stacked) for config, count in alike.items())


def _without_depth(config: Config) -> Config:
    """The config with 0 for the depth and for that of every stack that follows it."""
    encoder, decoder = (
        0 if depth == config.depth else depth for depth in (config.model.encoder_depth, config.model.decoder_depth)
    )
    return replace(config, depth=0, model=replace(config.model, encoder_depth=encoder, decoder_depth=decoder))


def loss_of(result: Mapping[str, Any] | pd.Series) -> float:
    """The validation loss after the last step; infinite where the run diverged."""
    loss = result["valid_loss"]
    return math.inf if result["outcome"] == "diverged" or loss is None or loss != loss else float(loss)
