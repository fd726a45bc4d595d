"""A matrix as colours, one panel per value of a key: dependency maps, grids of two settings."""

from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from normexp.views import formatting
from normexp.views.grid import add_titles_and_legend, panels, per_row, values_of, where
from normexp.views.names import name_of
from normexp.views.style import text_colour


def heat_map(
    rows: pd.DataFrame,
    x: str,
    y: str,
    *,
    title: str,
    settings: str,
    caption: str,
    label: str,
    x_label: str = "",
    y_label: str = "",
    column: str = "variant",
    row: str | None = None,
    log: bool = False,
    letters: str = "",
    size: float = 2.1,
) -> Figure:
    """Draw the mean over the seeds of `value` at every (x, y), one panel per `column` and `row`.

    rows: one per measurement. letters: a column of outcomes, written in the fields as one letter per seed where seeds
    differ. Fields without a measurement stay white; where a seed is not finite they are grey with a cross.
    title, settings, caption: see grid.add_titles_and_legend.
    """
    columns, down = values_of(rows, column), values_of(rows, row)
    finite = rows.loc[np.isfinite(rows["value"]), "value"]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    high = high if high > low else low + 1  # a single value does not define a scale
    norm = LogNorm(max(low, 1e-3), max(high, 2e-3), clip=True) if log else Normalize(min(low, 0.0), high)
    in_row = per_row(len(columns))
    lines = -(-len(columns) // in_row)
    figure, grid = panels(len(down) * lines, in_row, row_height=size, shared=False)
    for axis in grid.flat:
        axis.set_visible(False)
    for i, row_value in enumerate(down):
        for j, key in enumerate(columns):
            axis = grid[i * lines + j // in_row][j % in_row]
            axis.set_visible(True)
            part = where(rows, **{column: key})
            part = part if row is None else where(part, **{row: row_value})
            _panel(axis, part, x, y, norm, letters)
            axis.set_title(name_of(column, key), loc="left")
            if j % in_row == 0:
                axis.set_ylabel((y_label or y) if row is None else f"{name_of(row, row_value)}\n{y_label or y}")
            if i * lines + j // in_row == len(down) * lines - 1 or j + in_row >= len(columns):
                axis.set_xlabel(x_label or x)
    figure.colorbar(matplotlib.cm.ScalarMappable(norm, "viridis_r"), ax=grid, aspect=30, pad=0.02, label=label)
    add_titles_and_legend(figure, title, settings, caption, [])
    return figure


def _panel(axis: Axes, rows: pd.DataFrame, x: str, y: str, norm: Normalize, letters: str) -> None:
    xs, ys = values_of(rows, x), values_of(rows, y)
    # Without skipping: a mean over the seeds that did not diverge would describe no run.
    mean = (
        rows.groupby([y, x], sort=False, dropna=False)["value"].agg(lambda values: values.mean(skipna=False)).unstack()
    )
    mean = mean.reindex(index=ys, columns=xs)
    matrix = np.ma.masked_invalid(mean.to_numpy(dtype=float))
    image: dict[str, Any] = {"aspect": "auto", "origin": "upper", "interpolation": "nearest"}
    axis.imshow(matrix, norm=norm, cmap="viridis_r", **image)
    measured = rows.groupby([y, x], sort=False).size().unstack().reindex(index=ys, columns=xs).notna().to_numpy()
    gone = measured & np.ma.getmaskarray(matrix)
    axis.imshow(np.where(gone, 0.85, np.nan), cmap="gray", vmin=0, vmax=1, **image)
    _labels(axis, xs, ys)
    if not letters:
        axis.plot(*np.nonzero(gone.T), "x", color="black", ms=3)
        return
    for (column, row), field in rows.groupby([x, y], sort=False):
        text = formatting.outcome_initials(field.sort_values("seed")[letters])
        mean_value = float(field["value"].mean(skipna=False))
        colour = (
            text_colour(matplotlib.colormaps["viridis_r"](norm(mean_value))) if np.isfinite(mean_value) else "black"
        )
        number = f"{mean_value:.2g}" if np.isfinite(mean_value) else "✕"
        place = xs.index(column), ys.index(row)
        axis.text(*place, f"{text}\n{number}", ha="center", va="center", fontsize=5.5, color=colour)


def _labels(axis: Axes, xs: list[Any], ys: list[Any]) -> None:
    """Label every value if there are at most 8, else every n-th value, the last one included."""
    for values, set_ticks in ((xs, axis.set_xticks), (ys, axis.set_yticks)):
        stride = 1 if len(values) <= 8 else -(-len(values) // 6)
        last = len(values) - 1
        places = [place for place in range(0, last, stride) if last - place >= stride] + [last]
        set_ticks(places, [formatting.number(values[place]) for place in places])
    axis.tick_params(length=2)
