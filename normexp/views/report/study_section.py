"""A reproduced study as a section of the report, from the files that `normexp reproduce` wrote."""

import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd

from normexp.records.reading import MEGABYTE, Damaged, read_bytes, read_json
from normexp.views.report.parts import Answers, Claim, Graph, Picture, Section, picture
from normexp.views.report.sweep_section import graphs_of, origin_lines

CLAIMS = "claims.csv"
CAPTIONS = "captions.json"  # what the figures of a study show, by their names
EXAMPLES = "examples.json"  # a few texts of the test part, and what the trained models wrote
LARGEST = 64 * MEGABYTE
ORDER = ("does not hold", "cannot tell", "cannot be tested", "holds")


def is_study(folder: Path) -> bool:
    """Whether a folder holds a reproduced study."""
    return (folder / "report.md").is_file() and (folder / "origin.json").is_file()


def study_section(folder: Path) -> Section:
    """The section of a study: its claims with their intervals, its figures, commands and origin."""
    text = read_bytes(folder / "report.md", LARGEST).decode()
    claims = _claims(folder / CLAIMS)
    stems = sorted({path.with_suffix("") for kind in ("png", "svg") for path in (folder / "figures").glob(f"*.{kind}")})
    commands = re.search(r"## Commands\s+```sh\n(.*?)```", text, re.DOTALL)
    title = re.match(r"# (.*)", text)
    made = read_json(folder / "origin.json", LARGEST)
    said = _captions(folder / CAPTIONS)
    answers = _answers(folder / EXAMPLES)
    seeds = re.findall(r"^- (\S+: \d+ runs, seeds .*)$", text, re.MULTILINE)
    return Section(
        name=folder.resolve().name,
        question=title.group(1) if title else folder.resolve().name,
        sentences=_counted(claims),
        claims=_ordered(claims),
        graphs=_graphs(folder),
        example=(answers[0].given, answers[0].expected) if answers else None,
        answers=answers,
        pictures=[_picture(stem, said.get(stem.name, "")) for stem in stems],
        commands=commands.group(1).strip().splitlines() if commands else [],
        origin=[*seeds, *origin_lines(made)],
    )


def _picture(stem: Path, caption: str) -> Picture:
    """The figure with the last line of its caption, which is not drawn in it; the whole caption for who cannot see."""
    sentence = caption.rpartition("\n")[2] or stem.name.replace("_", " ").capitalize() + "."
    return picture(stem, sentence, " ".join(caption.splitlines()))


def _graphs(folder: Path) -> list[Graph]:
    """What each variant of the study computes; the graph only where its runs are still there."""
    paths = [path for path in sorted(folder.glob("*.csv")) if path.name != CLAIMS]
    try:
        runs = pd.concat([pd.read_csv(path, low_memory=False) for path in paths])
    except ValueError:  # no table, or a damaged one
        return []
    if not {"folder", "variant", "depth"} <= {*runs.columns}:
        return []
    return graphs_of(runs.assign(folder=[str(folder.parent / "parts" / name) for name in runs["folder"]]))


def _captions(path: Path) -> dict[str, str]:
    """The captions of the figures by their names; none where an older version of normexp drew them."""
    try:
        return {str(name): str(text) for name, text in read_json(path, LARGEST).items()}
    except (Damaged, AttributeError):
        return {}


def _answers(path: Path) -> list[Answers]:
    """What the models of the study wrote; nothing where none was trained, or an older version of normexp ran it."""
    try:
        kept = read_json(path, LARGEST)
        return [Answers(each["given"], each["expected"], [(a, b, c) for a, b, c in each["written"]]) for each in kept]
    except (ValueError, TypeError, KeyError):
        return []


def _claims(path: Path) -> pd.DataFrame:
    none = pd.DataFrame(columns=[*(field.name for field in fields(Claim)), "kind"])
    try:
        found = pd.read_csv(path, keep_default_na=False)
    except (OSError, ValueError):  # none, or a damaged one
        return none
    return found if {"verdict", "kind"} <= {*found.columns} else none


def _counted(claims: pd.DataFrame) -> list[str]:
    """How many claims hold; controls are not counted."""
    counted = claims[claims["kind"] != "control"]
    if counted.empty:
        return []
    verdicts = counted["verdict"].value_counts()
    said = ", ".join(f"{name}: {verdicts[name]}" for name in reversed(ORDER) if name in verdicts)
    number = f"{len(counted)} claim{'s' * (len(counted) != 1)}"
    return [f"{number} ({said}). A verdict comes from the 95 % interval over the seeds."]


def _ordered(claims: pd.DataFrame) -> list[Claim]:
    """The claims, what does not hold first."""
    rank = claims["verdict"].map({name: index for index, name in enumerate(ORDER)})
    shown = claims.assign(rank=rank).sort_values("rank", kind="stable")
    names = [field.name for field in fields(Claim) if field.name != "mark"]
    return [
        Claim(**{name: str(row.get(name, "")) for name in names}, mark=_mark(row)) for row in shown.to_dict("records")
    ]


def _mark(row: Mapping[Any, Any]) -> str:
    """What a reader must know of a claim besides its text."""
    if row.get("kind") == "control":
        return "control"
    marks = {"own": "our extension", "exploratory": "exploratory"}
    return ", ".join(text for name, text in marks.items() if str(row.get(name)) == "True")
