"""The parts of a report, as the page's template takes them."""

import base64
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LARGEST_SVG = 250_000  # bytes; a larger figure is shown as its PNG
MEDIA = {".svg": "image/svg+xml", ".png": "image/png"}


@dataclass(frozen=True)
class Table:
    """A table of texts. marked: the column whose cells are coloured by their first word. wraps: cells are sentences."""

    columns: list[str]
    rows: list[list[str]]
    marked: str = ""
    wraps: bool = False


@dataclass(frozen=True)
class Picture:
    """A figure: its name, a sentence about it, its content as a data URL, and what is drawn in it, as text."""

    name: str
    sentence: str
    url: str
    alt: str = ""


@dataclass(frozen=True)
class Plot:
    """An interactive figure: its heading, what it shows, and the figure as Bokeh's scripts take it."""

    heading: str
    sentence: str
    item: dict[str, Any]


@dataclass(frozen=True)
class Graph:
    """What a variant computes: its equation as the class states it, the papers as (citation, link), its graph."""

    name: str
    equation: str
    papers: list[tuple[str, str]]
    text: str


@dataclass(frozen=True)
class Claim:
    """A checked claim of a study, in the words of its table of claims."""

    verdict: str
    text: str
    place: str
    statistic: str
    measured: str  # with its 95 % interval
    window: str
    source: str
    note: str
    mark: str = ""  # that it is our extension, or exploratory


@dataclass(frozen=True)
class Answers:
    """One text of the test part, its reference, and what each configuration wrote: (name, text, exact)."""

    given: str
    expected: str
    written: list[tuple[str, str, bool]]


@dataclass(frozen=True)
class Section:
    """One sweep or one study. no_plots: why it has no interactive figures, where it could have."""

    name: str
    question: str
    settings: str = ""
    sentences: list[str] = field(default_factory=list)
    graphs: list[Graph] = field(default_factory=list)
    example: tuple[str, str] | None = None
    notes: list[str] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    tables: list[tuple[str, Table]] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    plots: list[Plot] = field(default_factory=list)
    no_plots: str = ""
    answers: list[Answers] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    origin: list[str] = field(default_factory=list)

    @property
    def spread(self) -> bool:
        """Whether any text has a ±."""
        return "±" in str((self.tables, self.sentences, [picture.sentence for picture in self.pictures]))

    @property
    def anchor(self) -> str:
        """The section's address on the page."""
        return "s-" + "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in self.name)


def picture(stem: Path, sentence: str, alt: str = "") -> Picture:
    """A figure from its files, `stem` without the ending: the SVG, or the PNG where the SVG is large or missing."""
    svg, png = stem.parent / f"{stem.name}.svg", stem.parent / f"{stem.name}.png"
    small = svg.is_file() and (svg.stat().st_size <= LARGEST_SVG or not png.is_file())
    path = svg if small else png
    content = base64.b64encode(path.read_bytes()).decode()
    return Picture(stem.name, sentence, f"data:{MEDIA[path.suffix]};base64,{content}", alt)
