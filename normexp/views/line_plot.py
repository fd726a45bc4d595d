"""A value over a number, one panel per value of a key: the figure that most papers draw."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from normexp.views import formatting
from normexp.views.grid import add_titles_and_legend, colours, panels, tick_places, values_of, where
from normexp.views.seeds import Drawn, caption_of, draw_seeds

Curve = Callable[[np.ndarray], np.ndarray]


def line_plot(
    rows: pd.DataFrame,
    x: str,
    *,
    title: str,
    settings: str,
    caption: str = "",
    label: str,
    x_label: str | None = None,
    colour: str = "variant",
    column: str | None = None,
    row: str | None = None,
    log: str = "",
    shared: bool = True,
    lines: Mapping[str, Curve] | None = None,
    names: Mapping[float, str] | None = None,
) -> Figure:
    """Draw `value` over x: the mean over the seeds, with thin lines for up to five seeds and a band for more.

    rows: one per measurement, with the columns value, x, `colour`, `column`, `row` and seed.
    log: "", "x", "y" or "xy". On a logarithmic y the mean is geometric.
    Seeds: see seeds.draw_seeds. The band is the 95 % t-interval of the mean, from six seeds on. No mean is drawn where
    a seed diverged or is off the axis. The caption ends with what was drawn: do not repeat it in `caption`.
    shared: one y axis for all panels. lines: curves of theory by name, thin and grey in every panel. names: labels for
    places of the x axis. title, settings, caption: see grid.add_titles_and_legend.
    """
    columns, down = values_of(rows, column), values_of(rows, row)
    styles = colours(rows, colour)
    figure, grid = panels(len(down), len(columns), row_height=2.2, shared=shared)
    drawn: dict[Any, list[Drawn]] = {key: [] for key in styles}
    for place, (axes, row_value) in enumerate(zip(grid, down, strict=True)):
        for axis, value in zip(axes, columns, strict=True):
            part = rows if column is None else where(rows, **{column: value})
            part = part if row is None else where(part, **{row: row_value})
            if "x" in log:
                axis.set_xscale("log")
            if "y" in log:
                axis.set_yscale("log")
            for key, style in styles.items():
                curve_rows = where(part, **{colour: key})
                line: dict[str, Any] = {"color": style.colour, "ls": style.line, "marker": style.marker}
                drawn[key].append(draw_seeds(axis, curve_rows, x, log="y" in log, **line))
            measured = np.array(sorted(part[x].unique()), dtype=float)
            for curve in (lines or {}).values():
                axis.plot(measured, curve(measured), color="0.45", lw=0.8, ls=(0, (4, 2)), zorder=1)
            if place == 0 and column is not None and len(columns) > 1:
                axis.set_title(formatting.setting(column, value), loc="left")
            if place == len(down) - 1:
                axis.set_xlabel(x if x_label is None else x_label)
            if names:
                axis.set_xticks(list(names), list(names.values()))
            else:
                _ticks(axis, measured.tolist(), "x" in log)
        axes[0].set_ylabel(label if row is None else f"{row_value}\n{label}")
    if "y" in log:
        for axis in grid.flat:
            _plain_numbers(axis)
    handles = []
    for key, style in styles.items():
        marker = style.marker if any(each.markers for each in drawn[key]) else ""
        shown: dict[str, Any] = {"color": style.colour, "ls": style.line, "marker": marker, "ms": 3, "lw": 1.3}
        handles.append(Line2D([], [], **shown, label=formatting.setting(colour, key)))
    handles += [Line2D([], [], color="0.45", lw=0.8, ls=(0, (4, 2)), label=name) for name in lines or {}]
    caption = f"{caption} {caption_of([each for some in drawn.values() for each in some], 'y' in log)}".strip()
    add_titles_and_legend(figure, title, settings, caption, handles)
    return figure


def _plain_numbers(axis: Axes) -> None:
    """Label 0.5, 1, 2, 5 on a logarithmic axis of less than two decades, where powers of ten would be few."""
    low, high = axis.get_ylim()
    if high < 60 * low and 0.01 < low < high < 10_000:
        axis.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
        for set_formatter in (axis.yaxis.set_major_formatter, axis.yaxis.set_minor_formatter):
            set_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _ticks(axis: Axes, values: Sequence[float], log: bool) -> None:
    """A tick at every measured place if there are at most 8; else at round numbers and at the first and last place."""
    if len(values) <= 8:
        axis.xaxis.set_major_locator(FixedLocator(values))
    elif log:
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    elif all(float(value).is_integer() for value in values):
        axis.xaxis.set_major_locator(FixedLocator(tick_places(int(min(values)), int(max(values)))))
    else:
        return
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: formatting.number(float(value))))
