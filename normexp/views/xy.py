"""One value against one number, a panel per value of a key: the figure that most papers draw."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

from normexp.views.grid import colours, frame_in, panels, values_of, where
from normexp.views.style import Look


def xy(
    rows: pd.DataFrame,
    x: str,
    y: str = "value",
    *,
    title: str,
    settings: str,
    caption: str,
    label: str,
    x_label: str = "",
    colour: str = "variant",
    column: str | None = None,
    log: str = "",
    shared: bool = True,
    height: float = 2.5,
) -> Figure:
    """Draw y over x: mean over the seeds as a line, smallest to largest seed as a band.

    rows: one per measurement, with the columns x, y, `colour`, `column` and seed. log: "", "x", "y" or "xy"; on a
    logarithmic y the mean is geometric. Values that are not finite stand as crosses at the top edge.
    shared: one y axis for all panels. title, settings, caption: see grid.frame_in.
    """
    columns = values_of(rows, column)
    look = colours(rows, colour)
    figure, grid = panels(1, len(columns), row_height=height)
    for axis, value in zip(grid[0], columns, strict=True):
        part = rows if column is None else where(rows, **{column: value})
        if "x" in log:
            axis.set_xscale("log")
        if "y" in log:
            axis.set_yscale("log")
        for key, one in look.items():
            _line(axis, where(part, **{colour: key}), x, y, one, geometric="y" in log)
        if column is not None:
            axis.set_title(str(value), loc="left")
        axis.set_xlabel(x_label or x)
        _ticks(axis, sorted(part[x].unique()), "x" in log)
        if not shared:
            axis.yaxis.set_tick_params(labelleft=True)
    grid[0][0].set_ylabel(label)
    handles = [
        Line2D([], [], color=one.colour, ls=one.line, marker=one.marker, ms=3, lw=1.3, label=str(key))
        for key, one in look.items()
    ]
    frame_in(figure, title, settings, caption, handles)
    return figure


def _line(axis: Axes, rows: pd.DataFrame, x: str, y: str, look: Look, geometric: bool) -> None:
    finite = rows[np.isfinite(rows[y]) & (rows[y] > 0)] if geometric else rows[np.isfinite(rows[y])]
    gone = sorted(rows.loc[~np.isfinite(rows[y]), x].unique())
    groups = finite.groupby(x, sort=True)[y]

    def centre(values: pd.Series) -> float:
        return float(np.exp(np.log(values).mean())) if geometric else float(values.mean())

    mean = groups.agg(centre)
    axis.plot(mean.index, mean, color=look.colour, ls=look.line, marker=look.marker, ms=3, lw=1.3, zorder=3)
    if (groups.max() > groups.min()).any():
        axis.fill_between(mean.index, groups.min(), groups.max(), color=look.colour, alpha=0.16, lw=0, zorder=2)
    for place in gone:
        axis.plot([place], [0.98], "x", color=look.colour, ms=5, transform=axis.get_xaxis_transform(), clip_on=False)


def _ticks(axis: Axes, values: Sequence[Any], log: bool) -> None:
    """A tick at every measured place where there is room for it."""
    if len(values) <= 8:
        axis.xaxis.set_major_locator(FixedLocator([float(value) for value in values]))
        axis.xaxis.set_minor_locator(NullLocator())
        if not log or all(float(value) >= 1 for value in values):
            axis.xaxis.set_major_formatter(ScalarFormatter())
