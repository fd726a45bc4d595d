"""Decorators that turn a method of a study into one of its figures or one of its claims."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from normexp.studies.claim import Claim, Untested
from normexp.studies.windows import Window
from normexp.views import formatting
from normexp.views.figure_sentence import of_heat_map, of_histogram, of_line_plot
from normexp.views.heat_map import heat_map
from normexp.views.histogram import histogram
from normexp.views.line_plot import line_plot
from normexp.views.runs import STATUS

# What a figure's method returns: the rows to draw, and options of the view that depend on the runs.
Drawn = pd.DataFrame | tuple[pd.DataFrame, Mapping[str, Any]]
Values = Sequence[float]
SENTENCES: Mapping[Callable[..., Figure], Callable[..., str]] = {
    line_plot: of_line_plot,
    heat_map: of_heat_map,
    histogram: of_histogram,
}


@dataclass(frozen=True)
class DeclaredFigure:
    """A figure before it is drawn. rows: the method, called with its study. options: those of the view `draw`."""

    rows: Callable[[Any], Drawn]
    place: str
    title: str
    own: bool
    draw: Callable[..., Figure]
    options: Mapping[str, Any]

    def drawn(self, study: Any, frames: Callable[[], pd.DataFrame]) -> Figure:
        """Draw it. frames: the runs that the method read, asked for once it has returned."""
        made = self.rows(study)
        rows, more = made if isinstance(made, tuple) else (made, {})
        options = {**self.options, **more}
        keys = [options.get(role) for role in ("x", "y", "column", "row")]
        settings = settings_of(frames(), rows, [options.get("colour", "variant"), *keys])
        title = f"{self.title} ({'; '.join(filter(None, (where(study.citation, self.place, self.own), study.size)))})"
        drawn = self.draw(rows, title=title, settings=settings, **options)
        if self.draw in SENTENCES:  # not in the figure, but in what is written below it
            drawn.set_label(f"{drawn.get_label()}\n{SENTENCES[self.draw](rows, **options)}")
        return drawn


@dataclass(frozen=True)
class DeclaredClaim:
    """A claim before it is checked. values: the method, whose docstring is the text; about: fields of Claim."""

    values: Callable[[Any], Values]
    place: str
    about: Mapping[str, Any]

    def checked(self, study: Any, name: str, runs: Any, looks: int) -> Claim:
        """Check it. runs: those of the study, which know what the method read of them once it has returned."""
        study.needed = {}
        values = list[float]()
        try:
            values = list(self.values(study))
        except Untested as missing:
            study.needed[str(missing)] = False
        return Claim(
            name=name,
            text=" ".join((self.values.__doc__ or "").split()),
            place=self.place
            if self.about["kind"] == "control"
            else where(study.citation, self.place, self.about["own"]),
            values=values,
            precondition=" ".join(study.needed),
            met=all(study.needed.values()),
            training=runs.training(),
            looks=looks,
            reads=runs.read(),
            **self.about,
        )


def figure(
    place: str = "", *, title: str, own: bool = False, draw: Callable[..., Figure] = line_plot, **options: Any
) -> Callable[[Callable[[Any], Drawn]], DeclaredFigure]:
    """Declare a figure: the method returns its rows, and its name is the name of the file.

    place: the figure of the paper that it follows; own: it has no such figure. The title ends in the citation, the
    place and the study's size; the settings line follows from the runs that were read. options: those of `draw`.
    """

    def declare(rows: Callable[[Any], Drawn]) -> DeclaredFigure:
        return DeclaredFigure(rows, place, title, own, draw, options)

    return declare


def claim(
    place: str, statistic: str, window: Window, *, exploratory: bool = False, own: bool = False
) -> Callable[[Callable[[Any], Values]], DeclaredClaim]:
    """Declare a claim: the method returns one value per seed, its docstring is the text, its name the claim's.

    place: where the paper makes it; own: the paper does not, it is an extension of ours. exploratory: see Claim.
    What must be the case for the claim to be testable the method states by `self.needs`.
    """
    about = {"statistic": statistic, **asdict(window), "own": own, "exploratory": exploratory}

    def declare(values: Callable[[Any], Values]) -> DeclaredClaim:
        return DeclaredClaim(values, place, about)

    return declare


def where(citation: str, place: str, own: bool) -> str:
    """Name the place in the literature: "Xiong et al. 2020, figure 2", or "after Xiong et al. 2020" if it is ours.

    A place that cites another paper than the study's is the whole name.
    """
    if re.match(r".+ et al\. \d{4}", place):
        return place
    cited = f"after {citation}" if own and citation else citation
    return ", ".join(filter(None, (cited, place)))


def settings_of(frame: pd.DataFrame, rows: pd.DataFrame, drawn: Sequence[str | None]) -> str:
    """Name the settings that all runs behind these rows share, and the number of seeds of each point.

    frame: the runs that were read, of which those count that have left a row. drawn: keys that axes, colours and
    panels show.
    """
    keys = list(dict.fromkeys(key for key in drawn if key is not None and key in frame and key not in STATUS))
    behind = frame[frame["folder"].isin(set(rows["folder"]))] if "folder" in rows else frame
    shared, _, _ = formatting.heading(behind, [*keys, "seed"]).rpartition(" · ")
    # A seed that diverged before it left a row counts, and runs that differ in what is not drawn are of one seed.
    points = frame.merge(behind[keys].drop_duplicates(), on=keys) if keys else behind
    seeds = formatting.seeds(points.drop_duplicates([*keys, "seed"]), keys)
    return " · ".join(filter(None, (shared, seeds)))
