"""A sweep as a section of the report, from its run folders alone."""

import importlib
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from normexp.papers import papers_of
from normexp.records.provenance import origins
from normexp.records.reading import read_sweep
from normexp.records.samples import read_graph, read_samples
from normexp.views import formatting, sentences
from normexp.views.figure_files import figure_files
from normexp.views.probe_table import tables
from normexp.views.report.interactive import plots_of
from normexp.views.report.parts import Answers, Graph, Section, Table, picture
from normexp.views.runs import swept_keys, undamaged
from normexp.views.table import baselines_line, notes, rows_of, texts

TEXTS = 3  # whose translations or continuations are shown


def sweep_section(folder: Path, runs: pd.DataFrame, spare: Path, *, interactive: bool = False) -> Section:
    """The section of the runs of a sweep. spare: where figures are drawn that the sweep does not have yet."""
    sound = undamaged(runs)
    if sound.empty:
        name, damaged = folder.resolve().name, "Every run is damaged."
        return Section(name=name, question=damaged, notes=notes(runs), commands=_commands(folder, runs))
    stems = {path.with_suffix("") for kind in ("png", "svg") for path in figure_files(folder, runs, spare, kind)}
    trained = "steps" not in sound or bool(sound["steps"].any())
    examples = answers_of(sound)
    plots, no_plots = plots_of(sound) if interactive else ([], "")
    return Section(
        name=folder.resolve().name,
        question=sentences.question(sound),
        settings=formatting.heading(sound, swept_keys(sound)),
        sentences=sentences.summary(sound),
        graphs=graphs_of(sound),
        example=(examples[0].given, examples[0].expected) if examples else None,
        notes=[*([baselines_line(runs)] if trained else []), *notes(runs)],
        tables=_tables(runs, trained),
        pictures=[picture(stem, sentences.of_figure(stem.name, sound)) for stem in sorted(stems, key=_loss_first)],
        plots=plots,
        no_plots=no_plots,
        answers=examples,
        commands=_commands(folder, runs),
        origin=origin_lines(origins(map(Path, sound["folder"])), sound),
    )


def origin_lines(made: list[dict[str, Any]], runs: pd.DataFrame | None = None) -> list[str]:
    """Seeds, then commit, versions, machine and data of every way in which the runs were made."""
    lines = []
    if runs is not None and "seed" in runs:
        numbers = ", ".join(map(str, sorted(runs["seed"].unique())))
        count = f"{len(runs)} run{'s' * (len(runs) > 1)}"
        lines.append(f"{count}, seed{'s' * (runs['seed'].nunique() > 1)} {numbers}")
    for one in made:
        git = one.get("git")
        commit = f"commit {git['commit'][:7]}{'' if git['clean'] else ' with changes'}" if git else "no commit"
        versions = ", ".join(f"{name} {version}" for name, version in one.get("packages", {}).items())
        machine = f"{one.get('processor')}, {one.get('cores')} cores" + (f", {one['gpu']}" if one.get("gpu") else "")
        data = str(one.get("data_sha256", ""))[:12]
        lines.append(f"{commit}; Python {one.get('python')}, {versions}; {machine}; data sha256 {data}…")
    return lines


def _loss_first(stem: Path) -> tuple[bool, str]:
    return not stem.name.startswith("loss_curves"), stem.name


def _tables(runs: pd.DataFrame, trained: bool) -> list[tuple[str, Table]]:
    if not trained:
        return [(each.title, Table(each.columns, each.rows)) for each in tables(runs)]
    columns, rows = rows_of(runs)
    most = max((row.n for row in rows), default=1)
    caption = "Mean ± standard deviation over the seeds" if most > 1 else "One seed per configuration"
    lines = [_outcome_early(line, columns) for line in [columns, *map(texts, rows)]]
    return [(caption, Table(lines[0], lines[1:], "outcome"))]


def _outcome_early(cells: list[str], columns: list[str]) -> list[str]:
    """The outcome moved before the numbers: on a narrow page the end of a row is out of sight."""
    outcome, first = columns.index("outcome"), columns.index("n") + 1
    return [*cells[:first], cells[outcome], *cells[first:outcome], *cells[outcome + 1 :]]


def graphs_of(runs: pd.DataFrame) -> list[Graph]:
    """The graph of each variant, of its deepest run."""
    found = []
    for name, some in runs.groupby("variant", sort=False):
        deepest = max(some.to_dict("records"), key=lambda run: run["depth"])
        equation, papers = _stated(deepest)
        found.append(Graph(str(name), equation, papers, read_graph(Path(deepest["folder"]))))
    return found


def _stated(run: Mapping[Any, Any]) -> tuple[str, list[tuple[str, str]]]:
    """The equation and the papers that a variant of the package states; a user's class is not imported for it."""
    module, _, name = str(run.get("variant._target_") or "").rpartition(".")
    if not module.startswith("normexp.variants"):
        return "", []
    try:
        variant = getattr(importlib.import_module(module), name)
        return str(variant.equation), [(paper.citation, paper.link) for paper in papers_of(variant.paper)]
    except (ImportError, AttributeError, KeyError):  # of another version of the package
        return "", []


def answers_of(runs: pd.DataFrame) -> list[Answers]:
    """What the deepest run of each configuration wrote for the same few texts, first seeds only."""
    keys = [key for key in swept_keys(runs) if key not in ("seed", "depth") and runs[key].nunique(dropna=False) > 1]
    chosen = runs[runs["depth"] == runs["depth"].max()] if "depth" in runs else runs
    kept: dict[str, dict[str, Any]] = {}
    for run in chosen.to_dict("records"):
        name = ", ".join(formatting.setting(key, run[key]) for key in keys) or str(run.get("variant", ""))
        samples = read_samples(Path(run["folder"]))
        if samples:
            kept.setdefault(name, {each.given: each for each in samples})
    texts_of = [given for given in next(iter(kept.values()), {}) if all(given in each for each in kept.values())]
    step = max(1, len(texts_of) // TEXTS)  # spread over the lengths
    return [
        Answers(
            given,
            next(iter(kept.values()))[given].expected,
            [(name, samples[given].written, samples[given].exact) for name, samples in kept.items()],
        )
        for given in texts_of[::step][:TEXTS]
    ]


def _commands(folder: Path, runs: pd.DataFrame) -> list[str]:
    """The command of the sweep, without the folder on this machine where its results went."""
    overrides = read_sweep(folder).get("overrides")
    if not isinstance(overrides, list):
        return []
    words = [str(word) for word in overrides if not str(word).startswith("results=")]
    command = "sweep" if "steps" not in runs or runs["steps"].any() else "probe"
    return [" ".join(["normexp", command, *map(shlex.quote, words)])]
