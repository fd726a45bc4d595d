"""A figure as a grid of panels: which key makes the columns, the colours, the rest; and what frames it."""

import math
import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from normexp.views import formatting
from normexp.views.runs import swept_keys
from normexp.views.style import Look, looks


class Roles(NamedTuple):
    """Which swept key is drawn as what: `column` and `colour`, and the `rest` in the order of the sweep."""

    column: str | None
    colour: str | None
    rest: list[str]


def roles(frame: pd.DataFrame) -> Roles:
    """Give each swept key its place: depth the columns, variant (else the first other key) the colours.

    Where depth does not vary, the first key left over makes the columns: side by side is easier to compare.
    """
    varied = [key for key in swept_keys(frame) if key != "seed" and frame[key].nunique(dropna=False) > 1]
    others = [key for key in varied if key != "depth"]
    colour = "variant" if "variant" in others or not others else others[0]
    rest = [key for key in others if key != colour]
    column = "depth" if "depth" in frame else None
    if "depth" not in varied and rest:
        column = rest.pop(0)
    return Roles(column, colour if colour in frame else None, rest)


def values_of(frame: pd.DataFrame, key: str | None) -> list[Any]:
    """Return a key's values in the order of the axes: numbers ascending, words as the sweep had them."""
    if key is None:
        return [None]
    values = list(frame[key].drop_duplicates())
    if key == "stack":
        return sorted(values, reverse=True)  # the encoder first, as the forward has it
    if all(isinstance(value, int | float | np.number) for value in values):
        return sorted(values)
    return values


def where(frame: pd.DataFrame, **keys: Any) -> pd.DataFrame:
    """Return the rows that have these values; a missing value matches a missing value."""
    kept = pd.Series(True, index=frame.index)
    for key, value in keys.items():
        kept &= frame[key].isna() if value is None or value != value else frame[key] == value
    return frame[kept]


def combinations(frame: pd.DataFrame, keys: Sequence[str]) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield an ending for the file's name and the runs, for each combination of the keys' values."""
    if not keys:
        yield "", frame
        return
    for group, runs in frame.groupby(list(keys), sort=False, dropna=False):
        ending = ",".join(f"{key}={formatting.number(value)}" for key, value in zip(keys, group, strict=True))
        yield "-" + re.sub(r"[^\w=.,+-]", "", ending.replace("%", "pct")), runs.reset_index(drop=True)


def colours(frame: pd.DataFrame, key: str | None) -> dict[Any, Look]:
    """Return the look of each value of the colour key."""
    values = values_of(frame, key)
    named = looks(formatting.number(value) for value in values)
    return {value: named[formatting.number(value)] for value in values}


def panel_titles(axes: Sequence[Axes], key: str | None, values: Sequence[Any]) -> None:
    """Write the key's value above each column."""
    for axis, value in zip(axes, values, strict=True):
        if key and len(values) > 1:  # a single value stands in the figure's heading
            axis.set_title(formatting.setting(key, value), loc="left")


def panels(rows: int, columns: int, row_height: float, shared: bool = True) -> tuple[Figure, np.ndarray]:
    """Return a figure with rows × columns panels, which share their axes or not; `frame_in` then frames it."""
    width = 4.6 if columns == 1 else 1.1 + 2.35 * columns
    figure = Figure(figsize=(width, row_height * rows))
    return figure, figure.subplots(rows, columns, sharex="col" if shared else False, sharey=shared, squeeze=False)


def per_row(count: int) -> int:
    """Return how many of `count` panels stand beside each other: few large, many small."""
    return min(count, 3 if count <= 6 else 5)


def frame_in(figure: Figure, title: str, settings: str, caption: str, handles: Sequence[Artist]) -> None:
    """Put title, settings and caption above the panels and the legend below, each in room of its own."""
    width, height = figure.get_size_inches()
    lines = [(line, 9.5, "bold", "black") for line in _wrap(title, int(width / 0.088))]
    lines += [(line, 7.5, "normal", "black") for line in _wrap_settings(settings, int(width / 0.0635))]
    lines += [(line, 6.5, "normal", "0.35") for line in _wrap(caption, int(width / 0.0545))]
    above = 0.1 + sum(1.35 * size / 72 for _, size, _, _ in lines) + 0.04
    labels = [str(handle.get_label()) for handle in handles]
    ncols = _legend_columns(labels, width - 0.2)
    below = 0.1 + 0.15 * math.ceil(len(labels) / ncols)
    height += above + below
    figure.set_size_inches(width, height)

    depth = 0.1
    for text, size, weight, colour in lines:
        figure.text(0.1 / width, 1 - depth / height, text, fontsize=size, fontweight=weight, color=colour, va="top")
        depth += 1.35 * size / 72
    figure.legend(
        handles=list(handles),
        loc="lower center",
        bbox_to_anchor=(0.5, 0.02 / height),
        ncols=ncols,
        borderaxespad=0,
        borderpad=0.2,
        handlelength=2.6,
        columnspacing=1.4,
        labelspacing=0.3,
    )
    room = (0, below / height, 1, 1 - (above + below) / height)
    figure.set_layout_engine(ConstrainedLayoutEngine(rect=room, h_pad=0.05, w_pad=0.05))


def _wrap(text: str, width: int) -> list[str]:
    """Break at spaces only: Pre-LN and warm-up stay in one line."""
    return textwrap.wrap(text, width, break_on_hyphens=False)


def _wrap_settings(settings: str, width: int) -> list[str]:
    """Break between settings only: "lr 1e-3" stays in one line, and no line begins with a dot."""
    parts = [part.replace(" ", "\N{NO-BREAK SPACE}") for part in settings.split(" · ")]
    lines = _wrap("\N{NO-BREAK SPACE}· ".join(parts), width)
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]


def _legend_columns(labels: Sequence[str], width: float) -> int:
    """Return how many columns of the legend, filled one by one as matplotlib does, fit in `width` inches."""
    for columns in range(len(labels), 1, -1):
        split = np.array_split([0.62 + 0.068 * len(label) for label in labels], columns)
        if sum(part.max() for part in split) < width:
            return columns
    return 1
