"""Gradient norm by layer, at initialisation and at the last step: a row per stack, a column per depth or other key."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from normexp.views import formatting
from normexp.views.grid import Roles, colours, frame_in, panel_titles, panels, values_of, where
from normexp.views.runs import swept_keys
from normexp.views.style import Look

DECADES = 8
SITES = {"feed_forward": "a feed-forward", "attention": "an attention"}
SITE_NORM = [("statistic", "==", "grad_norm"), ("site", "in", list(SITES)), ("parameter", "==", "")]


def gradient_norms(runs: pd.DataFrame, layers: pd.DataFrame, roles: Roles) -> Figure:
    """Draw the gradient norm of the feed-forward sub-layers of these runs, of the attentions where a run has none.

    `layers` holds these norms only. Zeros, and what lies more than DECADES below the largest, stand as open markers
    on a line of their own at the bottom, values that are not finite as crosses at the top: a logarithmic axis has
    room for neither, and a stack that passes nothing down would flatten all others.
    """
    runs = runs[runs["folder"].isin(layers["folder"])]
    layers = _one_site(layers).merge(_moments(runs, layers), on=["folder", "step"])
    positive = layers.loc[(layers["value"] > 0) & np.isfinite(layers["value"]), "value"]
    low, high = (float(positive.min()), float(positive.max())) if len(positive) else (1e-3, 1.0)
    lowest = round(np.log10(high)) - DECADES
    hidden = low < 10.0**lowest
    low = max(low, 10.0**lowest)
    layers["value"] = layers["value"].where(~(layers["value"] < low), 0.0)
    floor, ceiling = low / 10, high * 10
    stacks = [stack for stack in ("encoder", "decoder") if stack in set(layers["stack"])]
    columns = values_of(runs, roles.column)
    look = colours(runs, roles.colour)
    figure, grid = panels(len(stacks), len(columns), row_height=2.0)
    panel_titles(grid[0], roles.column, columns)
    for axes, stack in zip(grid, stacks, strict=True):
        axes[0].set_ylabel(f"{stack}\ngradient norm")
        for axis, column in zip(axes, columns, strict=True):
            axis.set_yscale("log")
            panel = runs if roles.column is None else where(runs, **{roles.column: column})
            for value, one in look.items():
                cell = where(panel, **{roles.colour: value}) if roles.colour else panel
                rows = layers[layers["folder"].isin(cell["folder"]) & (layers["stack"] == stack)]
                for moment in ("last", "first"):
                    _curve(axis, rows[rows["moment"] == moment], one, moment, floor, ceiling)
            here = layers[layers["folder"].isin(panel["folder"]) & (layers["stack"] == stack)]
            _mark(axis, here, floor, ceiling, f"< $10^{{{lowest}}}$" if hidden else "0")
    has_zero, has_gone = bool((layers["value"] == 0).any()), not np.isfinite(layers["value"]).all()
    grid[0][0].set_ylim(floor / 2.5 if has_zero else low / 2, ceiling * 2.5 if has_gone else high * 2)
    for axis in grid[-1]:
        axis.set_xlabel("layer")

    several = len(runs) > runs.groupby([key for key in swept_keys(runs) if key != "seed"] or "state").ngroups
    drawn = " or ".join(name for site, name in SITES.items() if site in set(layers["site"]))
    caption = f"Norm of the gradient of all parameters of {drawn} sub-layer, before clipping."
    if several:
        caption += " Lines: geometric mean over the seeds. Bands: smallest to largest seed."
    if has_zero:
        caption += " Open circles: 0 or below the axis, left out of the lines."
    title = "Gradient norm by layer"
    frame_in(figure, title, formatting.heading(runs, swept_keys(runs)), caption, _handles(look, roles, layers))
    return figure


def _one_site(layers: pd.DataFrame) -> pd.DataFrame:
    """Return one site per layer: the feed-forward, or the attention in a run that has no feed-forward."""
    feed_forward = layers["site"] == "feed_forward"
    return layers[feed_forward | ~layers["folder"].isin(layers.loc[feed_forward, "folder"])]


def _moments(runs: pd.DataFrame, layers: pd.DataFrame) -> pd.DataFrame:
    """Return each run's first and last recorded step; the last only once the run is done."""
    steps = layers.groupby("folder")["step"].agg(first="min", last="max").reset_index()
    done = set(runs.loc[runs["state"] == "completed", "folder"])
    first = steps[["folder", "first"]].rename(columns={"first": "step"}).assign(moment="first")
    last = steps[["folder", "last"]].rename(columns={"last": "step"}).assign(moment="last")
    ended = (steps["last"] > steps["first"]) & steps["folder"].isin(done)
    return pd.concat([first, last[ended]], ignore_index=True)


def _curve(axis: Axes, rows: pd.DataFrame, look: Look, moment: str, floor: float, ceiling: float) -> None:
    first = moment == "first"
    marker: dict[str, Any] = {
        "ls": "",
        "marker": look.marker,
        "color": look.colour,
        "clip_on": False,
        "zorder": 4,
        "ms": 3.5,
    }
    zero = rows.loc[rows["value"] == 0, "layer"].unique()
    gone = rows.loc[~np.isfinite(rows["value"]), "layer"].unique()
    # An empty line outside the clipping box has no place, and the layout would break over it.
    if len(zero):
        axis.plot(zero, np.full(len(zero), floor), **{**marker, "mfc": "white"})
    if len(gone):
        axis.plot(gone, np.full(len(gone), ceiling), **{**marker, "marker": "x"})
    held = rows[(rows["value"] > 0) & np.isfinite(rows["value"])].groupby("layer")["value"]
    layer = np.arange(1, int(rows["layer"].max()) + 1) if len(rows) else np.array([])
    # Layers that are zero or gone in all seeds leave a gap: a line across it would invent values.
    mean = held.agg(lambda values: float(np.exp(np.log(values).mean()))).reindex(layer)
    low, high = held.min().reindex(layer), held.max().reindex(layer)
    style: dict[str, Any] = (
        {"ls": "-", "lw": 1.3, "marker": look.marker, "ms": 2.2} if first else {"ls": (0, (1, 1.2)), "lw": 1.3}
    )
    axis.plot(layer, mean, color=look.colour, zorder=3, **style)
    if (high > low).any():
        axis.fill_between(layer, low, high, color=look.colour, alpha=0.16 if first else 0.1, lw=0, zorder=2)


def _mark(axis: Axes, rows: pd.DataFrame, floor: float, ceiling: float, below: str) -> None:
    axis.set_xlim(0.5, max(1, rows["layer"].max() if len(rows) else 1) + 0.5)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6, min_n_ticks=1))
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


def _handles(look: dict[object, Look], roles: Roles, layers: pd.DataFrame) -> list[Line2D]:
    grey: dict[str, Any] = {"color": "0.3", "lw": 1.3}
    moments = layers.groupby("moment")["step"]
    handles = [
        Line2D(
            [],
            [],
            color=one.colour,
            marker=one.marker,
            ms=3,
            lw=1.3,
            label=formatting.setting(str(roles.colour), value),
        )
        for value, one in look.items()
        if roles.colour
    ]
    names = {"first": ("initialisation", "-"), "last": ("end", (0, (1, 1.2)))}
    for moment, steps in moments:
        name, style = names[str(moment)]
        when = f"{steps.min()}" if steps.min() == steps.max() else f"{steps.min()} to {steps.max()}"
        handles.append(Line2D([], [], **grey, ls=style, label=f"step {when} ({name})"))
    return handles
