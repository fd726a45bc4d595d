"""The lines of the interactive figures: one per configuration, in the colours that the static figures give it."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from normexp.views.grid import assign_axes, colours, values_of, where
from normexp.views.names import name_of
from normexp.views.palette import LINES


class Line(NamedTuple):
    """A line of the legend. dash: lengths of dashes and gaps in pixels, none for a solid line."""

    name: str
    colour: str
    dash: list[int]


class Panel(NamedTuple):
    """One panel: its title, and the folders of the runs of each line by the line's name."""

    title: str
    folders: dict[str, list[str]]


class Lines(NamedTuple):
    """The lines that every panel has, as far as it has runs of them, and the panels."""

    lines: list[Line]
    panels: list[Panel]

    @property
    def drawn(self) -> int:
        """How many lines all panels have together."""
        return sum(len(panel.folders) for panel in self.panels)


def lines_of(runs: pd.DataFrame, sweep: pd.DataFrame) -> Lines:
    """The swept keys of these runs as colours, dashes and panels; seeds share a line.

    sweep: all runs of the sweep, among which the static figures choose colours.

    As in the static figures, depth makes the panels, unless nothing else is swept: then it is the colour, since panels
    of one line compare nothing.
    """
    keys = assign_axes(runs)
    colour, column = keys.colour, keys.column
    if _varies(runs, column) and not _varies(runs, colour):
        colour, column = column, None
    styles = colours(sweep, colour)
    solid = all(style.line == "-" for style in styles.values())
    dashed = keys.rest[0] if keys.rest and solid and runs[keys.rest[0]].nunique(dropna=False) <= len(LINES) else None
    dashes = dict(zip(values_of(runs, dashed), LINES, strict=False))
    lines, chosen = [], []
    for (value, style), (dashed_value, dash) in itertools.product(styles.items(), dashes.items()):
        some = _where(runs, {colour: value, dashed: dashed_value})
        if len(some):
            name = _named({colour: value, dashed: dashed_value})
            lines.append(Line(name, style.colour, _pixels(dash if dashed else style.line)))
            chosen.append(set(some["folder"]))
    panels = []
    across = [key for key in (column, *keys.rest) if key is not None and key != dashed]
    for values in itertools.product(*(values_of(runs, key) for key in across)):
        some = _where(runs, dict(zip(across, values, strict=True)))
        folders = {
            line.name: [folder for folder in some["folder"] if folder in own]
            for line, own in zip(lines, chosen, strict=True)
        }
        varied = {key: value for key, value in zip(across, values, strict=True) if _varies(runs, key)}
        if len(some):
            panels.append(Panel(_named(varied), {name: found for name, found in folders.items() if found}))
    return Lines(lines, panels)


def _varies(runs: pd.DataFrame, key: str | None) -> bool:
    return key is not None and runs[key].nunique(dropna=False) > 1


def _where(runs: pd.DataFrame, keys: dict[Any, Any]) -> pd.DataFrame:
    return where(runs, **{key: value for key, value in keys.items() if key is not None})


def _named(keys: dict[Any, Any]) -> str:
    return ", ".join(name_of(str(key), value) for key, value in keys.items() if key is not None)


def _pixels(dash: Any) -> list[int]:
    """Dashes of matplotlib, in widths of the line, as pixels."""
    lengths: Sequence[float] = [] if dash == "-" else dash[1]
    return [max(1, round(2 * length)) for length in lengths]
