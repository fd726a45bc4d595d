"""A study from its name to its figures and claims: run its parts, or go on with them, then draw from the tables."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from normexp.config.choice import Choice
from normexp.config.compose import Composer
from normexp.config.names import unknown
from normexp.config.schema import configs_folder
from normexp.errors import ConfigError
from normexp.records.folder import ensure_writable_dir
from normexp.studies import report
from normexp.studies.claim import Claim
from normexp.studies.seeds import AS_WRITTEN, Seeds, look
from normexp.studies.study import Part, Runs, Study, parts_of
from normexp.sweep.estimate import forecast, unfinished
from normexp.sweep.executor import run_sweep
from normexp.sweep.plan import Sweep
from normexp.sweep.plan import plan as plan_sweep
from normexp.sweep.pools import make_pool
from normexp.sweep.progress import count_of
from normexp.views import style


@dataclass(frozen=True)
class Reproduced:
    """What a study left: the folder with its figures and tables, and its claims; or the runs that it still lacks.

    Figures are drawn and claims checked when every run has completed.
    """

    title: str
    folder: Path
    figures: list[Path]
    claims: list[Claim]
    notes: dict[str, str]
    missing: list[Path]


def studies(config_dirs: Sequence[str] = ()) -> dict[str, Path]:
    """Every study by name, with its YAML; a user's own folder wins, the last one above all."""
    folders = [configs_folder(), *map(Path, config_dirs)]
    return {path.stem: path for folder in folders for path in sorted(folder.joinpath("study").glob("*.yaml"))}


def load(name: str, size: str, config_dirs: Sequence[str] = ()) -> tuple[Study, dict[str, str]]:
    """The study at a size, and its notes on claims by the claim's name.

    Raises ConfigError for a name that no folder has, and for one whose YAML is written wrongly.
    """
    composer = Composer("train", config_dirs)
    known = studies(config_dirs)
    if name not in known:
        raise ConfigError(unknown("study", name, sorted(known)))
    make, grid, notes = read(name, known[name])
    parts = parts_of(grid, size, composer.options("variant"))
    if not parts:
        raise ConfigError(f"study={name}: none of its parts has a {size} size")
    return make(parts, size), notes


def read(name: str, path: Path) -> tuple[type[Study], dict[str, Any], dict[str, str]]:
    """The class that a study's YAML names, its parts and its notes.

    Raises ConfigError where the YAML is none, or has something else in it.
    """
    try:
        node = yaml.safe_load(path.read_text("utf-8"))
    except yaml.YAMLError as error:
        raise ConfigError(f"study={name}: {path.name} is not valid YAML: {' '.join(str(error).split())}") from error
    node = node if isinstance(node, dict) else {}
    make = Choice.of("study", {"name": name, **node}).cls
    if not (isinstance(make, type) and issubclass(make, Study)) or make is Study:
        raise ConfigError(f"study={name}: {node['_target_']} must be a Study with figures and claims")
    grid, notes = node.get("parts"), node.get("notes") or {}
    texts = isinstance(notes, dict) and all(isinstance(note, str) for note in notes.values())
    if node.keys() - {"_target_", "parts", "notes"} or not isinstance(grid, dict) or not texts:
        raise ConfigError(f"study={name}: its YAML must have _target_, parts by name and, optionally, notes by claim")
    return make, grid, notes


def reproduce(
    name: str,
    size: str,
    results: Path,
    out: Path | None,
    config_dirs: Sequence[str],
    jobs: int,
    log: Callable[[str], None],
    seeds: Seeds = AS_WRITTEN,
    drawn_for: str = "default",
) -> Reproduced:
    """Bring every part of the study to its end, then draw its figures and check its claims.

    Runs that are complete are kept as they are, so this continues an interrupted study and redraws a finished one.
    They are in results/parts, where two studies that ask for the same part in the same words share it.
    out: where report, tables and figures go, too.
    log: called with a line about the time left, and one about each part before it starts.
    seeds: how many, and whether the parts that undecided claims read get more at later looks.
    drawn_for: paper draws every figure a second time (see normexp.views.style); the report has the usual ones.
    """
    study, notes = load(name, size, config_dirs)
    folder = (results / f"{name}-{size}").absolute()
    title = f"{study.about()} ({size})"
    if out:
        ensure_writable_dir(out, "--out")  # before the long work, not after it
    ensure_writable_dir(results, "results")
    try:
        found = look(study, seeds, lambda: _bring(study, name, results.absolute() / "parts", config_dirs, jobs, log))
    except _Incomplete as incomplete:
        return Reproduced(title, folder, [], [], notes, incomplete.missing)
    drawn, captions = [], dict[str, str]()
    for sheet in dict.fromkeys(("default", drawn_for)):
        with style.context(sheet):
            for stem, figure in study.figures(found.runs):
                drawn += style.save(figure, style.folder(folder / "figures", sheet) / stem)
                captions.setdefault(stem, str(figure.get_label()))
    report.write(
        folder, title, size, found.parts, found.runs, drawn, found.claims, notes, captions, seeds.summary(found.last)
    )
    if out:
        report.publish(folder, out)
    return Reproduced(title, folder, drawn, found.claims, notes, [])


def sweep_of(part: Part, results: Path, config_dirs: Sequence[str]) -> Sweep:
    """The sweep of a part. results: the folder in which parts are."""
    overrides = [*part.line, f"results={results}"]
    return plan_sweep(part.command, overrides, config_dirs=config_dirs, name=part.folder, many=True)


def _bring(
    study: Study, name: str, results: Path, config_dirs: Sequence[str], jobs: int, log: Callable[[str], None]
) -> tuple[dict[str, Part], dict[str, Runs]]:
    """Every part that the study's plan asks for, and its runs, brought to their end where they are not complete.

    Raises _Incomplete if runs failed.
    """
    parts, runs = dict[str, Part](), dict[str, Runs]()
    said = False

    def run_part(part: Part) -> Runs:
        nonlocal said
        sweep = sweep_of(part, results, config_dirs)
        todo = len(unfinished(sweep))
        parts[part.name] = part
        if todo and not said:
            seen = {one.grid for one in parts.values()}
            rest = [sweep_of(other, results, config_dirs) for grid, other in study.parts.items() if grid not in seen]
            log(f"{name} {study.size}: {forecast([sweep, *rest], jobs)}; the same command resumes")
            said = True
        log(f"{name} {study.size}, {part.name}: {count_of(len(sweep.runs))}, {todo} to do")
        if todo:
            run_sweep(sweep, make_pool("", sweep, jobs), log)
        return runs.setdefault(part.name, Runs(sweep.path, [run.name for run in sweep.runs]))

    planned = study.plan()
    part = next(planned, None)
    while part is not None:
        try:
            part = planned.send(run_part(part))
        except StopIteration:
            part = None
    if missing := [run for one in runs.values() for run in _failed(one)]:
        raise _Incomplete(missing)
    return parts, runs


def _failed(runs: Runs) -> list[Path]:
    """The folders of the runs that did not complete."""
    return [Path(folder) for folder in runs.frame.loc[runs.frame["state"] != "completed", "folder"]]


class _Incomplete(Exception):
    """Runs of the study failed; missing: their folders."""

    def __init__(self, missing: list[Path]) -> None:
        self.missing = missing
