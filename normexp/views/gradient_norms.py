"""Gradient norm by layer, at initialisation and at the last step: one row per stack, one column per depth.

Many variants have a panel each.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator

from normexp.views import formatting
from normexp.views.grid import (
    KeyAxes,
    add_titles_and_legend,
    colours,
    panel_titles,
    panels,
    per_row,
    tick_places,
    values_of,
    where,
)
from normexp.views.names import name_of
from normexp.views.palette import LineStyle, other_styles
from normexp.views.runs import swept_keys
from normexp.views.seeds import Drawn, caption_of, draw_seeds

DECADES = 8  # on the axis, below the largest value
ABOVE = 2  # decades on the axis, above a typical run
MANY = 10  # more variants than that share colours, so each has a panel of its own
DOTTED = (0, (1, 1.2))
SITES = {"feed_forward": "a feed-forward", "attention": "an attention"}
SITE_NORM = [("statistic", "==", "grad_norm"), ("site", "in", list(SITES)), ("parameter", "==", "")]


class Prepared(NamedTuple):
    """The rows of the first and the last step (`when`), with what is below the axis set to 0.

    low, high: the values that the axis shows. floor, ceiling: where it shows what is below them or not finite.
    lowest, highest: the powers of ten beyond which values are hidden, None if none is.
    """

    layers: pd.DataFrame
    low: float
    high: float
    lowest: int | None
    highest: int | None

    @property
    def floor(self) -> float:
        return self.low / 10

    @property
    def ceiling(self) -> float:
        return self.high * 10

    @property
    def caption(self) -> str:
        """What is measured."""
        sites = " or ".join(name for site, name in SITES.items() if site in set(self.layers["site"]))
        return f"Norm of the gradient of all parameters of {sites} sub-layer, before clipping. "

    @property
    def has_zero(self) -> bool:
        return bool((self.layers["value"] == 0).any())

    @property
    def has_gone(self) -> bool:
        return not np.isfinite(self.layers["value"]).all()

    def notes(self) -> str:
        """The markers at the edges, for the caption."""
        zero = " Open markers: 0 or below the axis." if self.has_zero else ""
        gone = " Crosses: not finite." if self.highest is None else " Crosses: above the axis or not finite."
        return zero + (gone if self.has_gone else "")

    def set_limits(self, axis: Axes) -> None:
        """Show all values, and the edges where something is drawn there."""
        bottom = self.floor / 2.5 if self.has_zero else self.low / 2
        axis.set_ylim(bottom, self.ceiling * 2.5 if self.has_gone else self.high * 2)


def prepared(runs: pd.DataFrame, layers: pd.DataFrame, many: bool = False) -> Prepared:
    """The rows that are drawn, of the norms of SITE_NORM.

    Zeros, and values more than DECADES below the largest, are open markers on a line at the bottom; values that are not
    finite are crosses at the top. A logarithmic axis can show neither, and a stack that passes no gradient down would
    flatten all others. many: one of many runs may explode, so that values more than ABOVE decades above the median of
    the runs' largest norms count as not finite.
    """
    layers = one_site(layers).merge(_first_and_last(runs, layers), on=["folder", "step"])
    highest = None
    if many:
        finite = layers[np.isfinite(layers["value"]) & (layers["value"] > 0)]
        typical = finite.groupby("folder")["value"].max().median() if len(finite) else 1.0
        highest = math.ceil(np.log10(typical)) + ABOVE
        layers["value"] = layers["value"].where(~(layers["value"] > 10.0**highest), np.inf)
        highest = highest if np.isinf(layers["value"]).any() else None
    positive = layers.loc[(layers["value"] > 0) & np.isfinite(layers["value"]), "value"]
    low, high = (float(positive.min()), float(positive.max())) if len(positive) else (1e-3, 1.0)
    lowest = round(np.log10(high)) - DECADES
    hidden = low < 10.0**lowest
    low = max(low, 10.0**lowest)
    layers["value"] = layers["value"].where(~(layers["value"] < low), 0.0)
    return Prepared(layers, low, high, lowest if hidden else None, highest)


def gradient_norms(runs: pd.DataFrame, layers: pd.DataFrame, keys: KeyAxes) -> Figure:
    """Draw the gradient norm of the feed-forward sub-layers of these runs, or of attention in runs without any.

    layers: the rows of these norms only, see `prepared`. More than MANY variants have a panel each.
    """
    runs = runs[runs["folder"].isin(layers["folder"])]
    styles = colours(runs, keys.colour)
    many = keys.colour == "variant" and len(styles) > MANY
    all_rows = prepared(runs, layers, many)
    if many:
        return _small_multiples(runs, all_rows, keys)
    layers = all_rows.layers
    stacks = [stack for stack in ("encoder", "decoder") if stack in set(layers["stack"])]
    columns = values_of(runs, keys.column)
    figure, grid = panels(len(stacks), len(columns), row_height=2.0)
    panel_titles(grid[0], keys.column, columns)
    drawn: list[Drawn] = []
    for axes, stack in zip(grid, stacks, strict=True):
        axes[0].set_ylabel(f"{stack}\ngradient norm")
        for axis, column in zip(axes, columns, strict=True):
            axis.set_yscale("log")
            all_rows.set_limits(axis)
            panel = runs if keys.column is None else where(runs, **{keys.column: column})
            for value, style in styles.items():
                some = where(panel, **{keys.colour: value}) if keys.colour else panel
                rows = layers[layers["folder"].isin(some["folder"]) & (layers["stack"] == stack)]
                for when in ("last", "first"):
                    drawn.append(_curve(axis, rows[rows["when"] == when], style, when, all_rows))
            _label_edges(axis, layers[layers["folder"].isin(panel["folder"]) & (layers["stack"] == stack)], all_rows)
    for axis in grid[-1]:
        axis.set_xlabel("layer")
    caption = all_rows.caption + caption_of(drawn, geometric=True) + all_rows.notes()
    heading = formatting.heading(runs, swept_keys(runs))
    add_titles_and_legend(figure, "Gradient norm by layer", heading, caption, _handles(styles, keys, layers, drawn))
    return figure


def _small_multiples(runs: pd.DataFrame, all_rows: Prepared, keys: KeyAxes) -> Figure:
    """A panel per variant at initialisation: a colour per stack, a line per depth, which ends at its last layer."""
    layers = all_rows.layers[all_rows.layers["when"] == "first"]
    stacks = [stack for stack in ("encoder", "decoder") if stack in set(layers["stack"])]
    styles = other_styles("stack", stacks)
    names, depths = values_of(runs, keys.colour), values_of(runs, keys.column)
    across = per_row(len(names))
    figure, grid = panels(math.ceil(len(names) / across), across, row_height=1.25)
    drawn: list[Drawn] = []
    for axis, name in zip(grid.flat, names, strict=False):
        axis.set_yscale("log")
        all_rows.set_limits(axis)
        axis.set_title(name_of(str(keys.colour), name), loc="left", fontsize=7)
        panel = where(runs, **{str(keys.colour): name})
        for stack, style in styles.items():
            for depth in depths:
                some = panel if keys.column is None else where(panel, **{keys.column: depth})
                rows = layers[layers["folder"].isin(some["folder"]) & (layers["stack"] == stack)]
                drawn.append(_curve(axis, rows, style, "first", all_rows))
        _label_edges(axis, layers[layers["folder"].isin(panel["folder"])], all_rows)
    last = max(1, int(layers["layer"].max()))
    for axis in grid.flat:
        axis.set_xlim(0.5, last + 0.5)
        axis.xaxis.set_major_locator(FixedLocator(tick_places(1, last, most=4)))
    for axis in grid.flat[len(names) :]:
        axis.set_visible(False)
    for axis in grid.flat[max(0, len(names) - across) : len(names)]:
        axis.set_xlabel("layer")
        axis.tick_params(labelbottom=True)
    for axes in grid:
        axes[0].set_ylabel("gradient norm", fontsize=7)
    lines = f" A line per {keys.column}." if len(depths) > 1 else ""
    caption = f"At initialisation. {all_rows.caption}{caption_of(drawn, geometric=True)}{all_rows.notes()}{lines}"
    caption = " ".join(caption.split())
    handles = [Line2D([], [], color=style.colour, lw=1.3, label=stack) for stack, style in styles.items()]
    heading = formatting.heading(runs, swept_keys(runs))
    add_titles_and_legend(figure, "Gradient norm by layer, every variant", heading, caption, handles)
    return figure


def one_site(layers: pd.DataFrame) -> pd.DataFrame:
    """One site per layer: the feed-forward, or attention in a run without feed-forwards."""
    feed_forward = layers["site"] == "feed_forward"
    return layers[feed_forward | ~layers["folder"].isin(layers.loc[feed_forward, "folder"])]


def _first_and_last(runs: pd.DataFrame, layers: pd.DataFrame) -> pd.DataFrame:
    """The first and the last recorded step of each run; the last only of completed runs."""
    steps = layers.groupby("folder")["step"].agg(first="min", last="max").reset_index()
    done = set(runs.loc[runs["state"] == "completed", "folder"])
    first = steps[["folder", "first"]].rename(columns={"first": "step"}).assign(when="first")
    last = steps[["folder", "last"]].rename(columns={"last": "step"}).assign(when="last")
    ended = (steps["last"] > steps["first"]) & steps["folder"].isin(done)
    return pd.concat([first, last[ended]], ignore_index=True)


def _curve(axis: Axes, rows: pd.DataFrame, style: LineStyle, when: str, all_rows: Prepared) -> Drawn:
    edge: dict[str, Any] = {"ls": "", "color": style.colour, "clip_on": False, "zorder": 4, "ms": 3.5}
    zero = rows.loc[rows["value"] == 0, "layer"].unique()
    gone = rows.loc[~np.isfinite(rows["value"]), "layer"].unique()
    # An empty line outside the clipping box has no position, which breaks the layout.
    if len(zero):
        axis.plot(zero, np.full(len(zero), all_rows.floor), marker=style.marker, mfc="white", label="_below", **edge)
    if len(gone):
        axis.plot(gone, np.full(len(gone), all_rows.ceiling), marker="x", label="_gone", **edge)
    line: dict[str, Any] = {"marker": style.marker, "ms": 2.2} if when == "first" else {"ls": DOTTED}
    return draw_seeds(axis, rows, "layer", seed="folder", log=True, marks=False, color=style.colour, **line)


def _label_edges(axis: Axes, rows: pd.DataFrame, all_rows: Prepared) -> None:
    last = max(1, int(rows["layer"].max())) if len(rows) else 1
    axis.set_xlim(0.5, last + 0.5)
    axis.xaxis.set_major_locator(FixedLocator(tick_places(1, last)))
    note: dict[str, Any] = {
        "fontsize": 6.5,
        "color": "0.35",
        "ha": "left",
        "va": "center",
        "transform": axis.get_yaxis_transform(),
    }
    if (rows["value"] == 0).any():
        axis.axhline(all_rows.floor, color="0.8", lw=0.5, zorder=1)
        below = "0" if all_rows.lowest is None else f"< $10^{{{all_rows.lowest}}}$"
        axis.text(1.01, all_rows.floor, below, **note)
    if not np.isfinite(rows["value"]).all():
        above = "not finite" if all_rows.highest is None else f"> $10^{{{all_rows.highest}}}$"
        axis.text(1.01, all_rows.ceiling, above, **note)


def _handles(styles: dict[object, LineStyle], keys: KeyAxes, layers: pd.DataFrame, drawn: list[Drawn]) -> list[Line2D]:
    markers = any(each.markers for each in drawn)
    handles = []
    for value, style in styles.items() if keys.colour else ():
        shown: dict[str, Any] = {"color": style.colour, "marker": style.marker if markers else "", "ms": 3, "lw": 1.3}
        handles.append(Line2D([], [], **shown, label=name_of(str(keys.colour), value)))
    names = {"first": ("initialisation", "-"), "last": ("end", DOTTED)}
    for when, steps in layers.groupby("when")["step"]:
        name, dashes = names[str(when)]
        step = f"{steps.min()}" if steps.min() == steps.max() else f"{steps.min()} to {steps.max()}"
        handles.append(Line2D([], [], color="0.3", lw=1.3, ls=dashes, label=f"step {step} ({name})"))
    return handles
