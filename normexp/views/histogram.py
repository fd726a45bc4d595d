"""Histogram of a value over the layers, one panel per variant, on a logarithmic axis."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from normexp.views.grid import add_titles_and_legend, colours, panels, per_row, values_of, where
from normexp.views.names import name_of


def histogram(
    rows: pd.DataFrame,
    *,
    title: str,
    settings: str,
    caption: str,
    label: str,
    colour: str = "stack",
    column: str = "variant",
    bins: int = 24,
) -> Figure:
    """Draw the distribution of the rows' `value`, one panel per `column` and one outline per `colour`.

    Values of 0, which a logarithmic axis cannot show, are counted in the lowest bin. Values that are not finite are
    left out. title, settings, caption: see grid.add_titles_and_legend.
    """
    columns, styles = values_of(rows, column), colours(rows, colour)
    rows = rows[np.isfinite(rows["value"])]
    positive = rows.loc[rows["value"] > 0, "value"]
    edges = np.geomspace(max(positive.min(), positive.max() * 1e-8), positive.max() * 1.0001, bins + 1)
    in_row = per_row(len(columns))
    figure, grid = panels(-(-len(columns) // in_row), in_row, row_height=1.7)
    for axis in grid.flat[len(columns) :]:
        axis.set_visible(False)
    for axis, key in zip(grid.flat, columns, strict=False):
        axis.set_xscale("log")
        for value, style in styles.items():
            part = where(rows, **{column: key, colour: value})["value"].clip(lower=edges[0] * 1.0001)
            share = np.histogram(part, edges)[0] / max(1, len(part))
            axis.stairs(share, edges, color=style.colour, fill=True, alpha=0.25)
            axis.stairs(share, edges, color=style.colour, lw=1.2)
        axis.set_title(name_of(column, key), loc="left")
    for axis in grid.flat[max(0, len(columns) - in_row) : len(columns)]:  # the lowest panel of each column
        axis.set_xlabel(label)
        axis.tick_params(axis="x", which="both", labelbottom=True)
    for axes in grid:
        axes[0].set_ylabel("share of the sites")
    handles = [
        Line2D([], [], color=style.colour, lw=1.3, label=name_of(colour, value)) for value, style in styles.items()
    ]
    add_titles_and_legend(figure, title, settings, caption, handles)
    return figure
