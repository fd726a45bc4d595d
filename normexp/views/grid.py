"""The grid of panels of a figure: which swept key is drawn as what, and titles, caption and legend around it."""

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
from normexp.views.names import in_words, name_of
from normexp.views.palette import LineStyle, line_styles, ordered_styles, other_styles
from normexp.views.runs import swept_keys
from normexp.views.style import sheet


class KeyAxes(NamedTuple):
    """Which swept keys are the `column` and the `colour` of a figure, and the `rest` in the order of the sweep."""

    column: str | None
    colour: str | None
    rest: list[str]


def assign_axes(frame: pd.DataFrame) -> KeyAxes:
    """Assign the swept keys: depth to the columns, variant (else the first other key) to the colours.

    If depth does not vary, the first remaining key makes the columns: panels in one row are easier to compare.
    """
    varied = [key for key in swept_keys(frame) if key != "seed" and frame[key].nunique(dropna=False) > 1]
    others = [key for key in varied if key != "depth"]
    colour = "variant" if "variant" in others or not others else others[0]
    rest = [key for key in others if key != colour]
    column = "depth" if "depth" in frame else None
    if "depth" not in varied and rest:
        column = rest.pop(0)
    return KeyAxes(column, colour if colour in frame else None, rest)


def values_of(frame: pd.DataFrame, key: str | None) -> list[Any]:
    """The values of a key in drawing order: numbers ascending, words in the order of the sweep."""
    if key is None:
        return [None]
    values = list(frame[key].drop_duplicates())
    if key == "stack":
        return sorted(values, reverse=True)  # the encoder first, as in the forward
    if all(isinstance(value, int | float | np.number) for value in values):
        return sorted(values)
    return values


def where(frame: pd.DataFrame, **keys: Any) -> pd.DataFrame:
    """The rows that have these values; a missing value matches a missing value."""
    kept = pd.Series(True, index=frame.index)
    for key, value in keys.items():
        kept &= frame[key].isna() if value is None or value != value else frame[key] == value
    return frame[kept]


def combinations(frame: pd.DataFrame, keys: Sequence[str]) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the suffix of a file name and the runs, for each combination of the keys' values."""
    if not keys:
        yield "", frame
        return
    for group, runs in frame.groupby(list(keys), sort=False, dropna=False):
        ending = ",".join(f"{key}={formatting.number(value)}" for key, value in zip(keys, group, strict=True))
        yield "-" + re.sub(r"[^\w=.,+-]", "", ending.replace("%", "pct")), runs.reset_index(drop=True)


def colours(frame: pd.DataFrame, key: str | None) -> dict[Any, LineStyle]:
    """The line style of each value of the colour key: variants have their own colours, numbers go from dark to light.

    Values that are not all numbers, such as warm-ups of 0 and 10%, are categories.
    """
    values = values_of(frame, key)
    names = [formatting.number(value) for value in values]
    if key in (None, "variant"):
        named = line_styles(names)
    elif len(values) > 1 and all(_is_number(value) for value in values):
        named = ordered_styles(names)
    else:
        named = other_styles(str(key), names)
    return {value: named[name] for value, name in zip(values, names, strict=True)}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool | np.bool_) and value == value


def panel_titles(axes: Sequence[Axes], key: str | None, values: Sequence[Any]) -> None:
    """Write the value of the key above each column."""
    for axis, value in zip(axes, values, strict=True):
        if key and len(values) > 1:  # a single value is in the heading of the figure
            axis.set_title(name_of(key, value), loc="left")


def tick_places(first: int, last: int, most: int = 7) -> list[float]:
    """About `most` round numbers from `first` to `last`, both of which are always among them.

    e.g. 1 to 18 → 1, 3, 6, 9, 12, 15, 18
    """
    span = max(last - first, 1)
    steps = (base * 10**power for power in range(12) for base in (1, 2, 3, 5))
    step = next(step for step in steps if span / step <= most - 1)
    inner = range((first // step + 1) * step, last, step)
    kept = [place for place in inner if place - first >= step / 2 and last - place >= step / 2]
    return [float(place) for place in dict.fromkeys([first, *kept, last])]


def panels(rows: int, columns: int, row_height: float, shared: bool = True) -> tuple[Figure, np.ndarray]:
    """A figure with rows × columns panels, which share their axes or not; see `add_titles_and_legend`."""
    on = sheet()
    width = on.column if columns == 1 else on.page or 1.1 + 2.35 * columns
    figure = Figure(figsize=(width, row_height * rows * on.height))
    return figure, figure.subplots(rows, columns, sharex="col" if shared else False, sharey=shared, squeeze=False)


def per_row(count: int) -> int:
    """Panels in one row, of `count` in all: few large ones or many small ones, in full rows where that can be."""
    if count <= 6:
        return min(count, 3)
    return 4 if count % 4 == 0 and count % 5 else 5


def add_titles_and_legend(figure: Figure, title: str, settings: str, caption: str, handles: Sequence[Artist]) -> None:
    """Add title, settings and caption above the panels and the legend below; the figure grows to fit them.

    In a paper they are the text of its caption, which is the figure's label, and not drawn.
    """
    said = "\n".join(filter(None, (title, settings, caption)))
    figure.set_label(said if sheet().titles else in_words(said))
    width, height = figure.get_size_inches()
    lines = [(line, 9.5, "bold", "black") for line in _wrap(title, int(width / 0.088))]
    lines += [(line, 7.5, "normal", "black") for line in _wrap_settings(settings, int(width / 0.0635))]
    lines += [(line, 6.5, "normal", "0.35") for line in _wrap(caption, int(width / 0.0545))]
    lines = lines if sheet().titles else []
    above = 0.06 + 0.08 * bool(lines) + sum(1.35 * size / 72 for _, size, _, _ in lines)
    labels = [str(handle.get_label()) for handle in handles]
    small = len(labels) > 20
    ncols = _legend_columns(labels, (width - 0.2) / (0.7 if small else 1))
    below = 0.1 + (0.115 if small else 0.15) * math.ceil(len(labels) / ncols)
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
        fontsize=6 if small else None,
        labelspacing=0.3,
    )
    room = (0, below / height, 1, 1 - (above + below) / height)
    figure.set_layout_engine(ConstrainedLayoutEngine(rect=room, h_pad=0.05, w_pad=0.05))


def _wrap(text: str, width: int) -> list[str]:
    """Break lines at spaces only, so that "Pre-LN" is not split."""
    return textwrap.wrap(text, width, break_on_hyphens=False)


def _wrap_settings(settings: str, width: int) -> list[str]:
    """Break lines between settings only, so that "lr 1e-3" is not split; no line starts or ends with a separator."""
    parts = [part.strip(" ·") for part in settings.split(" · ")]
    glued = [part.replace(" ", "\N{NO-BREAK SPACE}") for part in parts if part]
    lines = _wrap("\N{NO-BREAK SPACE}· ".join(glued), width)
    return [line.replace("\N{NO-BREAK SPACE}", " ").removesuffix(" ·") for line in lines]


def _legend_columns(labels: Sequence[str], width: float) -> int:
    """The number of legend columns, filled one by one as matplotlib does, that fit in `width` inches."""
    for columns in range(len(labels), 1, -1):
        split = np.array_split([0.62 + 0.068 * len(label) for label in labels], columns)
        if sum(part.max() for part in split) < width:
            return columns
    return 1
