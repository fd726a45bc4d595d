"""Gradient norm by layer, at initialisation and at the last step: one row per stack, one column per depth."""

from typing import Any

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
    tick_places,
    values_of,
    where,
)
from normexp.views.names import name_of
from normexp.views.palette import LineStyle
from normexp.views.runs import swept_keys
from normexp.views.seeds import Drawn, caption_of, draw_seeds

DECADES = 8
DOTTED = (0, (1, 1.2))
SITES = {"feed_forward": "a feed-forward", "attention": "an attention"}
SITE_NORM = [("statistic", "==", "grad_norm"), ("site", "in", list(SITES)), ("parameter", "==", "")]


def gradient_norms(runs: pd.DataFrame, layers: pd.DataFrame, keys: KeyAxes) -> Figure:
    """Draw the gradient norm of the feed-forward sub-layers of these runs, or of attention in runs without any.

    layers: the rows of these norms only. Zeros, and values more than DECADES below the largest, are open markers on a
    line at the bottom; values that are not finite are crosses at the top. A logarithmic axis can show neither, and a
    stack that passes no gradient down would flatten all others.
    """
    runs = runs[runs["folder"].isin(layers["folder"])]
    layers = _one_site(layers).merge(_first_and_last(runs, layers), on=["folder", "step"])
    positive = layers.loc[(layers["value"] > 0) & np.isfinite(layers["value"]), "value"]
    low, high = (float(positive.min()), float(positive.max())) if len(positive) else (1e-3, 1.0)
    lowest = round(np.log10(high)) - DECADES
    hidden = low < 10.0**lowest
    low = max(low, 10.0**lowest)
    layers["value"] = layers["value"].where(~(layers["value"] < low), 0.0)
    floor, ceiling = low / 10, high * 10
    stacks = [stack for stack in ("encoder", "decoder") if stack in set(layers["stack"])]
    columns = values_of(runs, keys.column)
    styles = colours(runs, keys.colour)
    figure, grid = panels(len(stacks), len(columns), row_height=2.0)
    panel_titles(grid[0], keys.column, columns)
    drawn: list[Drawn] = []
    for axes, stack in zip(grid, stacks, strict=True):
        axes[0].set_ylabel(f"{stack}\ngradient norm")
        for axis, column in zip(axes, columns, strict=True):
            axis.set_yscale("log")
            panel = runs if keys.column is None else where(runs, **{keys.column: column})
            for value, style in styles.items():
                some = where(panel, **{keys.colour: value}) if keys.colour else panel
                rows = layers[layers["folder"].isin(some["folder"]) & (layers["stack"] == stack)]
                for when in ("last", "first"):
                    drawn.append(_curve(axis, rows[rows["when"] == when], style, when, floor, ceiling))
            here = layers[layers["folder"].isin(panel["folder"]) & (layers["stack"] == stack)]
            _label_edges(axis, here, floor, ceiling, f"< $10^{{{lowest}}}$" if hidden else "0")
    has_zero, has_gone = bool((layers["value"] == 0).any()), not np.isfinite(layers["value"]).all()
    grid[0][0].set_ylim(floor / 2.5 if has_zero else low / 2, ceiling * 2.5 if has_gone else high * 2)
    for axis in grid[-1]:
        axis.set_xlabel("layer")

    sites = " or ".join(name for site, name in SITES.items() if site in set(layers["site"]))
    caption = f"Norm of the gradient of all parameters of {sites} sub-layer, before clipping. "
    caption += caption_of(drawn, geometric=True)
    if has_zero:
        caption += " Open markers: 0 or below the axis."
    if has_gone:
        caption += " Crosses: not finite."
    heading = formatting.heading(runs, swept_keys(runs))
    add_titles_and_legend(figure, "Gradient norm by layer", heading, caption, _handles(styles, keys, layers, drawn))
    return figure


def _one_site(layers: pd.DataFrame) -> pd.DataFrame:
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


def _curve(axis: Axes, rows: pd.DataFrame, style: LineStyle, when: str, floor: float, ceiling: float) -> Drawn:
    edge: dict[str, Any] = {"ls": "", "color": style.colour, "clip_on": False, "zorder": 4, "ms": 3.5}
    zero = rows.loc[rows["value"] == 0, "layer"].unique()
    gone = rows.loc[~np.isfinite(rows["value"]), "layer"].unique()
    # An empty line outside the clipping box has no position, which breaks the layout.
    if len(zero):
        axis.plot(zero, np.full(len(zero), floor), marker=style.marker, mfc="white", label="_below", **edge)
    if len(gone):
        axis.plot(gone, np.full(len(gone), ceiling), marker="x", label="_gone", **edge)
    line: dict[str, Any] = {"marker": style.marker, "ms": 2.2} if when == "first" else {"ls": DOTTED}
    return draw_seeds(axis, rows, "layer", seed="folder", log=True, marks=False, color=style.colour, **line)


def _label_edges(axis: Axes, rows: pd.DataFrame, floor: float, ceiling: float, below: str) -> None:
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
        axis.axhline(floor, color="0.8", lw=0.5, zorder=1)
        axis.text(1.01, floor, below, **note)
    if not np.isfinite(rows["value"]).all():
        axis.text(1.01, ceiling, "not finite", **note)


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
