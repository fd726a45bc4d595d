"""One variant on one page: its checks, its graph, its start, and its place on the map."""

import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from normexp.cards import figures, start
from normexp.cards.case import Case
from normexp.cards.checks import RUNS, check
from normexp.cards.finding import Finding, State, headline
from normexp.cards.numbers import Map, numbers, predictors, reference, shipped
from normexp.cards.subject import GRAPH, Subject
from normexp.config.compose import Composer
from normexp.papers import papers_of
from normexp.probes import graph
from normexp.views.report.parts import Graph, Picture, Section, Table

READ = (*GRAPH, "data", "training")  # groups and keys that a card reads
MEANINGLESS = ("It does not run", "It reads future tokens", "It does not give the same result twice")
CHOOSES = "model.tied"  # the key that chooses between the maps of the package
TIES = "The order of the variants depends on the output matrix: {} shows the other map."
NO_MAP = "No map of this variant has been made; run `normexp map variant={}`."

ENDS = "Mean [95 % interval]; of depth₅₀, the depths between which it is"
NO_MATTER = {"task", "data", "depth", "seed", "training"}  # what says nothing of the variant
REFUSED = "A map would mean nothing either: its losses could not be compared with those of others."


@dataclass(frozen=True)
class Card:
    """What is known of a variant. start: the table that `start.measure` made; None where it was not measured."""

    about: Subject
    findings: list[Finding]
    graph: list[str]
    start: pd.DataFrame | None
    numbers: pd.DataFrame
    seconds: float
    quick: bool = False

    @property
    def passes(self) -> bool:
        return all(each.state is State.PASSES for each in self.findings)


def make(
    about: Subject, *, quick: bool = False, of: Map | None = None, say: Callable[[str], None] = lambda text: None
) -> Card:
    """Check the variant, measure its start, and look it up on the map.

    quick: shallower stacks and fewer seeds. of: the map; by default the one that the package has.
    """
    began = time.monotonic()
    say(f"checking {about.name}")
    findings = check(about.config, about.tasks)
    failed = {each.check.fails for each in findings if each.state is State.FAILS}
    measured = None
    if not failed & set(MEANINGLESS):
        measured = start.measure(about, start.QUICK if quick else start.FULL, say)
    written = [] if RUNS.fails in failed else graph.written(Case.of(about.config, about.config.task.name).model())
    found = numbers(about.name, of or (None if _hides_ours(about) else reference(shipped(about.config.model.tied))))
    return Card(about, findings, written, measured, found, time.monotonic() - began, quick)


def sections(card: Card, folder: Path) -> list[Section]:
    """The card as the parts of a report. folder: where figures are drawn."""
    pictures = [] if card.start is None else figures.draw(card.start, _settings(card.about), folder)
    return [_checks(card), _start(card, pictures), _map(card)]


def _checks(card: Card) -> Section:
    variant = card.about.config.variant.cls
    papers = [(paper.citation, paper.link) for paper in papers_of(variant.paper)]
    rows = [[str(each.state), each.sentence] for each in card.findings]
    depths = "as encoder-decoder and as decoder alone" if len(card.about.tasks) > 1 else f"task {card.about.tasks[0]}"
    return Section(
        name="Checks",
        question=headline(card.about.name, card.findings),
        settings=f"{_settings(card.about)} · {depths}, at depth {card.about.config.depth} where no other is named",
        graphs=[Graph(card.about.name, variant.equation, papers, "\n".join(card.graph))] if card.graph else [],
        tables=[("", Table(["state", "check"], rows, "state", wraps=True))],
    )


def _hides_ours(about: Subject) -> bool:
    """Whether a variant of the user's folder has the name of one of the package, whose numbers are not its own."""
    ours, theirs = Composer("train"), Composer("train", about.config_dirs)
    return about.name in ours.options("variant") and ours.choice("variant", about.name) != theirs.choice(
        "variant", about.name
    )


def _start(card: Card, pictures: Sequence[Picture]) -> Section:
    name, question = card.about.name, "What does its start predict?"
    if card.start is None:
        why = "Nothing was measured, because a check fails on which every measurement rests."
        return Section("At the start", question, notes=[why])
    found = start.readings(card.start, name)
    variants = list(found[0].values)
    rows = [
        [each.measure.name, *(start.text(each.values[it]) for it in variants), each.closer.partition(" (")[0]]
        for each in found
    ]
    unknown = [f"{each.measure.name}: {each.closer}." for each in found if each.closer.startswith("cannot be measured")]
    depths = ", ".join(map(str, sorted(card.start["depth"].unique())))
    caption = f"Mean [95 % interval] over {card.start['seed'].nunique()} seeds; depths {depths}"
    return Section(
        name="At the start",
        question=question,
        settings=_settings(card.about),
        sentences=list(start.sentences(found, name)),
        tables=[(caption, Table(["measure", *variants, "closer to"], rows))],
        notes=[*unknown, predictors(shipped(card.about.config.model.tied))],
        pictures=list(pictures),
        origin=["start.csv, next to this page, has every value."],
    )


def _map(card: Card) -> Section:
    name, found = card.about.name, card.numbers
    title = "Where does it train, next to all others?"
    folders = [f"--config-dir {shlex.quote(each)}" for each in card.about.config_dirs]
    command = " ".join(["normexp card", card.about.command, *folders, *(["--quick"] * card.quick)])
    cost = f"Checks and measurements took {card.seconds:.0f} s."
    keys = ((text, text.partition("=")[0]) for text in card.about.others)
    changed = [text for text, key in keys if not {key, key.partition(".")[0]} & {*NO_MATTER, CHOOSES}]
    regard = f"These are the map's numbers, in its own settings, without regard to {' '.join(changed)}."
    other = TIES.format(f"{CHOOSES}={str(not card.about.config.model.tied).lower()}")
    notes = [*([regard] if changed else []), other, cost]
    if found.empty:
        why = REFUSED if card.start is None else NO_MAP.format(" ".join([name, *folders]))
        return Section("On the map", title, notes=[why, cost], commands=[command])
    columns = ["number", "at", name, "rank", *(peer for peer in start.PEERS if peer != name)]
    rows = found.rename(columns={"value": name, **({name: "itself"} if name in start.PEERS else {})})[columns]
    table = Table(columns, rows.astype(str).to_numpy().tolist())
    return Section("On the map", title, tables=[(ENDS, table)], notes=notes, commands=[command])


def _settings(about: Subject) -> str:
    """Init, norm and width, then whatever else the overrides set."""
    config, shown = about.config, ("init=", "norm=", "model.width=")
    others = [text for text in about.others if not text.startswith(shown)]
    return " · ".join([f"{config.init.name} init", config.norm.name, f"width {config.model.width}", *others])
