"""Every study before it runs: what it costs, what it claims, how far it is."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from normexp.config.compose import Composer
from normexp.config.grid import configs
from normexp.config.schema import Config
from normexp.records.reading import Damaged, read_json
from normexp.studies.runner import load, read, studies, sweep_of
from normexp.studies.seeds import Seeds, seeds_of, with_seeds
from normexp.studies.study import SIZES, Part, Study, parts_of
from normexp.sweep.estimate import duration, forecast, measured
from normexp.sweep.plan import relative_cost

# Seconds per unit of relative_cost, on one core: the median of the reference runs, of which three quarters are within a
# factor of 2. A look at an untrained model takes as long as so many training steps.
UNIT = 1.2e-10
STEPS = {"output_shift": 13, "update_shift": 7, "sharpness": 20, "jacobian": 10}
# Keys, and groups with their options, that hardly change what a run costs: none of their values is composed.
CHEAP = ("variant", "seed", "lr", "warmup", "init", "norm", "schedule", "optimizer", "addon", "probe", "probes")
SIZE = ("depth", "steps", "model.encoder_depth", "model.decoder_depth")
CORES = 2


def list_studies(results: Path, config_dirs: Sequence[str] = ()) -> RenderableType:
    """Every study: its claims, runs and estimated time at both sizes, then its paper or question and how far it is.

    results: the folder in which studies are. The times come from the sizes of the runs; nothing is measured.
    """
    composer = Composer("train", config_dirs)  # from now on _target_ names classes in these folders
    composers = {command: Composer(command, config_dirs) for command in ("sweep", "probe")}
    variants = composer.options("variant")
    found: list[tuple[list[str], Padding]] = []
    for name, path in sorted(studies(config_dirs).items()):
        make, grid, _ = read(name, path)
        cells, states = [], []
        for size in SIZES:
            parts = list(parts_of(grid, size, variants).values())
            costs = [cost for part in parts for cost in _costs(part, composers[part.command])]
            count = sum(runs for runs, _ in costs)
            seconds = sum(runs * each for runs, each in costs)
            cells.append(f"{count} runs, {duration(seconds / CORES)}" if parts else "–")
            if state := state_of(name, size, parts, count, results):
                states.append(f"{size}: {state}")
        about = Text("\n".join([make.about(), *states]))
        found.append(([name, str(len(_counted(make))), *cells], Padding(about, (0, 0, 0, 2), expand=False)))
    rows = [["study", "claims", *SIZES], *(cells for cells, _ in found)]
    width = [max(map(len, column)) for column in zip(*rows, strict=True)]
    first, *lines = (Text("  ".join(map(str.ljust, cells, width)).rstrip(), "bold") for cells in rows)
    shown: list[RenderableType] = [first]
    for line, (_, below) in zip(lines, found, strict=True):
        shown += [line, below]
    note = Text(f"\nTimes are rough, for {CORES} cores; normexp reproduce STUDY --dry-run measures.", "dim")
    return Group(*shown, note)


def dry_run(name: str, size: str, results: Path, config_dirs: Sequence[str], jobs: int, seeds: Seeds) -> RenderableType:
    """The parts of a study with their runs and measured time, and its claims with what they compare; writes nothing."""
    study, _ = load(name, size, config_dirs)
    out = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("part", "runs", "to do", "time"):
        out.add_column(column, justify="left" if column == "part" else "right")
    sweeps = []
    for part in (with_seeds(each, seeds.looks[0], seeds, study) for each in study.parts.values()):
        sweeps.append(sweep_of(part, (results / "parts").absolute(), config_dirs))
        count, seconds = measured(sweeps[-1:], jobs)
        out.add_row(part.name, str(len(sweeps[-1].runs)), str(count), duration(seconds) if count else "–")
    total = forecast(sweeps, jobs) or "nothing to do"
    return Group(Text(f"{study.about()} ({size})", "bold"), out, Text(f"{total}\n"), *_claims(study))


def _claims(study: Study) -> Iterator[Text]:
    claims = _counted(type(study))
    count = "1 claim, and what is measured for it:" if len(claims) == 1 else None
    yield Text(count or (f"{len(claims)} claims, and what is measured for each:" if claims else "no claims"))
    for name, about in claims.items():
        yield Text(f"  {name}: {about['statistic']}")


def _counted(study: type[Study]) -> dict[str, Mapping[str, Any]]:
    """The claims of a study without its controls."""
    return {name: about for name, about in study.windows().items() if about["kind"] != "control"}


def state_of(name: str, size: str, parts: Sequence[Part], count: int, results: Path) -> str:
    """How far a study is: the verdicts of its claims, the runs that are complete, or "" before it has started."""
    folder = results / f"{name}-{size}"
    if (folder / "report.md").is_file():
        if not (folder / "claims.csv").is_file():
            return "finished"
        verdicts = Counter(pd.read_csv(folder / "claims.csv", keep_default_na=False)["verdict"])
        return ", ".join(f"{verdict} {number}" for verdict, number in verdicts.most_common())
    done = sum(_completed(path) for part in parts for path in (results / "parts" / part.folder).glob("*/status.json"))
    return f"{done} of {count} runs" if done else ""


def _completed(status: Path) -> bool:
    try:
        found = read_json(status)
    except Damaged:
        return False
    return isinstance(found, dict) and found.get("state") == "completed"


def _costs(part: Part, composer: Composer) -> Iterator[tuple[int, float]]:
    """Runs of equal size, and the seconds that one of them takes on one core.

    Depth and steps are set in a config that other parts share, because composing takes longer than all the rest.
    """
    alike, sizes, others = len(seeds_of(part)) or 1, dict[str, Sequence[Any]](), list[str]()
    keys = {text.partition("=")[0] for text in part.line}
    defaults = (f"{key}={value}" for key, value in _defaults(composer).items() if key not in keys)
    for text in (*part.line, *defaults):
        key = text.partition("=")[0]
        if key.partition(".")[0] in CHEAP:
            alike *= 1 if key == "seed" else len(composer.parse([text])[0].values)
        elif key in SIZE:
            sizes[key] = composer.parse([text])[0].elements
        else:
            others.append(text)
    looks = _looks(part)
    for config in _composed(composer, tuple(others)):
        for values in product(*sizes.values()):
            sized = _sized(config, dict(zip(sizes, values, strict=True)))
            yield alike, relative_cost(sized) * UNIT * (1 if sized.steps else looks)


@cache
def _defaults(composer: Composer) -> dict[str, str]:
    return composer.defaults()


@cache
def _composed(composer: Composer, overrides: tuple[str, ...]) -> list[Config]:
    return list(configs(composer, composer.parse(overrides)))


def _sized(config: Config, sizes: Mapping[str, Any]) -> Config:
    depth = sizes.get("depth", config.depth)
    own = {key.removeprefix("model."): value for key, value in sizes.items() if key.startswith("model.")}
    depths = {"encoder_depth": depth, "decoder_depth": depth} if "depth" in sizes else {}
    model = replace(config.model, **(depths | own))
    return replace(config, depth=depth, steps=sizes.get("steps", config.steps), model=model)


def _looks(part: Part) -> float:
    """What its probes cost on an untrained model, in training steps."""
    named = next((text.partition("=")[2] for text in part.line if text.startswith("probe=")), "")
    return max(STEPS.get(name, 1.5) for name in named.strip("[]").split(","))
