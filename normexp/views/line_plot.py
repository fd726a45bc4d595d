"""One value against one number, a panel per value of a key: the figure that most papers draw."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator, ScalarFormatter

from normexp.views import formatting
from normexp.views.grid import colours, frame_in, panels, values_of, where
from normexp.views.style import Look

Curve = Callable[[np.ndarray], np.ndarray]


def line_plot(
    rows: pd.DataFrame,
    x: str,
    *,
    title: str,
    settings: str,
    caption: str,
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
    """Draw `value` over x: mean over the seeds as a line, smallest to largest seed as a band.

    rows: one per measurement, with the columns value, x, `colour`, `column`, `row` and seed.
    log: "", "x", "y" or "xy"; on a logarithmic y the mean is geometric, and what is 0 or negative is left out. Values
    that are not finite stand as crosses at the top edge.
    shared: one y axis for all panels. lines: curves of theory by name, thin and grey in every panel. names: what stands
    at places of the x axis. title, settings, caption: see grid.frame_in.
    """
    columns, down = values_of(rows, column), values_of(rows, row)
    look = colours(rows, colour)
    figure, grid = panels(len(down), len(columns), row_height=2.2, shared=shared)
    for place, (axes, level) in enumerate(zip(grid, down, strict=True)):
        for axis, value in zip(axes, columns, strict=True):
            part = rows if column is None else where(rows, **{column: value})
            part = part if row is None else where(part, **{row: level})
            if "x" in log:
                axis.set_xscale("log")
            if "y" in log:
                axis.set_yscale("log")
            for key, one in look.items():
                _line(axis, where(part, **{colour: key}), x, one, geometric="y" in log)
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
        axes[0].set_ylabel(label if row is None else f"{level}\n{label}")
    if "y" in log:
        for axis in grid.flat:
            _plain_numbers(axis)
    handles = [
        Line2D(
            [],
            [],
            color=one.colour,
            ls=one.line,
            marker=one.marker,
            ms=3,
            lw=1.3,
            label=formatting.setting(colour, key),
        )
        for key, one in look.items()
    ]
    handles += [Line2D([], [], color="0.45", lw=0.8, ls=(0, (4, 2)), label=name) for name in lines or {}]
    frame_in(figure, title, settings, caption, handles)
    return figure


def _line(axis: Axes, rows: pd.DataFrame, x: str, look: Look, geometric: bool) -> None:
    finite = rows[np.isfinite(rows["value"])]
    finite = finite[finite["value"] > 0] if geometric else finite
    gone = sorted(rows.loc[~np.isfinite(rows["value"]), x].unique())
    groups = finite.groupby(x, sort=True)["value"]

    def centre(values: pd.Series) -> float:
        return float(np.exp(np.log(values).mean())) if geometric else float(values.mean())

    mean = groups.agg(centre)
    # A marker at every point tells measured places; over many of them it would hide the line.
    marker = look.marker if len(mean) <= 24 else ""
    axis.plot(mean.index, mean, color=look.colour, ls=look.line, marker=marker, ms=3, lw=1.3, zorder=3)
    if (groups.max() > groups.min()).any():
        axis.fill_between(mean.index, groups.min(), groups.max(), color=look.colour, alpha=0.16, lw=0, zorder=2)
    for place in gone:
        axis.plot([place], [0.98], "x", color=look.colour, ms=5, transform=axis.get_xaxis_transform(), clip_on=False)


def _plain_numbers(axis: Axes) -> None:
    """0.5, 1, 2, 5 on a logarithmic axis that spans little, where powers of ten would be few or clumsy."""
    low, high = axis.get_ylim()
    if high < 60 * low and 0.01 < low < high < 10_000:
        axis.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
        for set_formatter in (axis.yaxis.set_major_formatter, axis.yaxis.set_minor_formatter):
            set_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _ticks(axis: Axes, values: Sequence[Any], log: bool) -> None:
    """A tick at every measured place where there is room for it."""
    if len(values) <= 8:
        axis.xaxis.set_major_locator(FixedLocator([float(value) for value in values]))
        axis.xaxis.set_minor_locator(NullLocator())
        if not log or all(float(value) >= 1 for value in values):
            axis.xaxis.set_major_formatter(ScalarFormatter())
    elif not log and all(float(value).is_integer() for value in values):
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
