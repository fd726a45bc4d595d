"""A value over a number, one panel per value of a key: the figure that most papers draw."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from normexp.views import formatting
from normexp.views.edge_labels import EdgeLabel, label_edges
from normexp.views.grid import add_titles_and_legend, colours, panels, tick_places, values_of, where
from normexp.views.names import name_of
from normexp.views.palette import LineStyle, of_points
from normexp.views.seeds import Drawn, caption_of, draw_seeds

Curve = Callable[[np.ndarray], np.ndarray]
GUIDES = ((0, (4, 2)), (0, (1, 1.5)), (0, (6, 1.5, 1, 1.5)), (0, (8, 3)))  # dashes of curves of theory, in their order
MANY = 10  # more lines than that share colours, so each has its name at its end
DODGE = 0.12  # between the points of two colours at one category, which may be equal
LINE_HEIGHT = 0.13  # inches of such a name


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
    levels: Sequence[tuple[str, float]] = (),
    names: Mapping[float, str] | None = None,
    floor: tuple[float, str] | None = None,
    joined: bool = True,
    mean: bool = True,
    zero: bool = False,
) -> Figure:
    """Draw `value` over x: the mean over the seeds, with thin lines for up to five seeds and a band for more.

    rows: one per measurement, with the columns value, x, `colour`, `column`, `row` and seed.
    log: "", "x", "y" or "xy". On a logarithmic y the mean is geometric.
    Seeds: see seeds.draw_seeds. The band is the 95 % t-interval of the mean, from six seeds on. No mean is drawn where
    a seed diverged or is off the axis. The caption ends with what was drawn: do not repeat it in `caption`.
    shared: one y axis for all panels. lines: curves of theory by name, thin and grey in every panel. levels: losses by
    name, likewise. names: labels for places of the x axis. floor: what is below this value is drawn at it, with its
    name. joined: whether lines join the points, which they do not between categories. mean: whether to draw it; else
    the seeds alone. zero: start the y axis there. title, settings, caption: see grid.add_titles_and_legend.
    """
    columns, down = values_of(rows, column), values_of(rows, row)
    styles = colours(rows, colour) if joined else of_points(colours(rows, colour))
    many = len(styles) > MANY
    on_axis = bool(names) and bool((rows.groupby(colour)[x].nunique() == 1).all())  # the axis names the colours
    apart = 0.0 if joined or on_axis else DODGE
    figure, grid = panels(len(down), len(columns), max(2.2, many * LINE_HEIGHT * len(styles)), shared)
    drawn: list[Drawn] = []
    edges: list[tuple[Axes, list[EdgeLabel]]] = []
    floored = raised = covered = False
    for place, (axes, row_value) in enumerate(zip(grid, down, strict=True)):
        for axis, value in zip(axes, columns, strict=True):
            part = rows if column is None else where(rows, **{column: value})
            part = part if row is None else where(part, **{row: row_value})
            if "x" in log:
                axis.set_xscale("log")
            if "y" in log:
                axis.set_yscale("log")
            ends = []
            for number, (key, style) in enumerate(styles.items()):
                curve = where(part, **{colour: key})
                if apart:
                    curve = curve.assign(**{x: curve[x] + apart * (number - (len(styles) - 1) / 2)})
                if floor:
                    floored |= _mark_floor(axis, curve, x, floor[0], style)
                    raised |= bool(
                        (curve.groupby(x)["value"].agg(["min", "max"]) < floor[0]).nunique(axis=1).gt(1).any()
                    )
                    curve = curve.assign(value=curve["value"].clip(lower=floor[0]))
                line: dict[str, Any] = {"color": style.colour, "ls": style.line, "marker": style.marker}
                before = len(axis.lines)
                drawn.append(draw_seeds(axis, curve, x, log="y" in log, mean=mean, joined=joined, **line))
                if many and len(end := _heights(axis.lines[before:])):
                    ends.append(EdgeLabel(name_of(colour, key), float(end[-1]), style.colour))
            covered |= _widen_covered(axis, "y" in log)
            measured = np.array(sorted(part[x].unique()), dtype=float)
            ends += _guides(axis, measured, lines or {}, levels, floor, label=axis is axes[-1])
            edges.append((axis, ends))
            if place == 0 and column is not None and len(columns) > 1:
                axis.set_title(name_of(column, value), loc="left")
            if place == len(down) - 1:
                axis.set_xlabel(x if x_label is None else x_label)
            if names:
                axis.set_xticks(list(names), list(names.values()))
            else:
                _ticks(axis, measured.tolist(), "x" in log)
        axes[0].set_ylabel(label if row is None else f"{name_of(row, row_value)}\n{label}")
    for axis in grid.flat:
        if "y" in log:
            _plain_numbers(axis)
        elif zero:
            axis.set_ylim(bottom=0)
    said = [caption, caption_of(drawn, "y" in log)]
    if floored and floor:
        said.append(f"Open triangles: at or below {floor[1]}.")
    if raised and floor:
        said.append(f"Seeds below the floor ({floor[1]}) are drawn at it and count as it in the mean.")
    if covered:
        said.append("Wide lines: covered by another.")
    handles = [] if on_axis or many else _handles(styles, colour, drawn, joined)
    add_titles_and_legend(figure, title, settings, " ".join(filter(None, said)), handles)
    label_edges(figure, edges)
    return figure


def _handles(styles: Mapping[Any, LineStyle], colour: str, drawn: Sequence[Drawn], joined: bool) -> list[Line2D]:
    markers = any(each.markers for each in drawn)
    return [
        Line2D(
            *([], []),
            color=style.colour,
            ls=style.line if joined else "",
            marker=style.marker if markers else "",
            ms=3,
            lw=1.3,
            label=name_of(colour, key),
        )
        for key, style in styles.items()
    ]


def _heights(lines: Sequence[Line2D]) -> np.ndarray:
    """The heights of the mean among these lines, where it has any."""
    means = [np.asarray(line.get_ydata(), dtype=float) for line in lines if line.get_label() == "_mean"]
    return np.concatenate([height[np.isfinite(height)] for height in means] or [np.array([])])


def _guides(
    axis: Axes,
    measured: np.ndarray,
    lines: Mapping[str, Curve],
    levels: Sequence[tuple[str, float]],
    floor: tuple[float, str] | None,
    label: bool,
) -> list[EdgeLabel]:
    """Draw curves of theory, levels and the floor in grey, above the data that would hide them; return their names."""
    names = []
    for (name, curve), dashes in zip(lines.items(), itertools.cycle(GUIDES), strict=False):
        height = curve(measured)
        axis.plot(measured, height, color="0.25", lw=0.9, ls=dashes, zorder=3.5, label="_theory")
        places = np.flatnonzero(np.isfinite(height))
        if len(places) and places[-1] == len(height) - 1:
            names.append(EdgeLabel(name, float(height[-1])))
        elif len(places) and label:
            place = places[-2:][0]  # its end may be on the floor, among the data
            at = (measured[place], height[place])
            axis.annotate(name, at, (5, 0), textcoords="offset points", fontsize=6.5, color="0.25", va="center")
    for name, loss in levels:
        axis.axhline(loss, color="0.55", lw=0.7, ls=(0, (4, 3)), zorder=1, label="_level")
        names.append(EdgeLabel(f"{name} {loss:.2f}", loss))
    if floor:
        axis.axhline(floor[0], color="0.8", lw=0.7, zorder=1, label="_floor")
        names.append(EdgeLabel(floor[1], floor[0]))
    return names if label else []


def _mark_floor(axis: Axes, rows: pd.DataFrame, x: str, floor: float, style: LineStyle) -> bool:
    """Open triangles at the places at which every seed is below the floor; return whether there is any."""
    highest = rows.groupby(x)["value"].max() if len(rows) else pd.Series(dtype=float)
    places = highest.index[highest <= floor]
    if len(places):
        mark: dict[str, Any] = {"ls": "", "marker": "v", "ms": 4, "mfc": "white", "color": style.colour, "zorder": 4}
        axis.plot(places, np.full(len(places), floor), label="_below", **mark)
    return bool(len(places))


def _widen_covered(axis: Axes, log: bool) -> bool:
    """Draw a curve wider the more later ones run over most of it, so that it stays visible; whether one is."""
    means = [line for line in axis.lines if line.get_label() == "_mean"]
    curves = []
    for line in means:
        height = pd.Series(np.asarray(line.get_ydata(), dtype=float), np.asarray(line.get_xdata(), dtype=float))
        curves.append((height.map(np.log) if log else height).replace([np.inf, -np.inf], np.nan).dropna())
    span = max((curve.max() for curve in curves if len(curve)), default=0) - min(
        (curve.min() for curve in curves if len(curve)), default=0
    )
    above = [0] * len(means)
    for i, curve in enumerate(curves):
        for j in range(i + 1, len(curves)):
            near = (curve - curves[j]).dropna().abs() <= 0.012 * span
            above[i] += len(near) > 1 and near.sum() > 0.5 * len(curve)
    for line, count in zip(means, above, strict=True):
        line.set_linewidth(line.get_linewidth() + 1.5 * count)
        line.set_markersize(line.get_markersize() + 1.6 * count)
    return any(above)


def _plain_numbers(axis: Axes) -> None:
    """Label 0.5, 1, 2, 5 on a logarithmic axis of less than two decades, where powers of ten would be few."""
    low, high = axis.get_ylim()
    if high < 60 * low and 0.001 < low < high < 10_000:
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
