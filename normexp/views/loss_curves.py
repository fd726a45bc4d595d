"""Training loss over steps: one column per depth or other key, one colour per variant, baselines as grey lines."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator

from normexp.views import formatting
from normexp.views.edge_labels import EdgeLabel, label_edges
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
from normexp.views.levels import Scale, floors, on_axis, scale_of
from normexp.views.names import name_of
from normexp.views.palette import LINES, LineStyle
from normexp.views.runs import swept_keys

TRAIN_NLL = [("statistic", "==", "nll"), ("split", "==", "train")]
MANY = 10  # more lines than that share colours, so each has its name at its end
POOLED = ("batch_norm", "power_norm")  # whose statistics are those of the batch, unlike in evaluation
LINE_HEIGHT = 0.13  # inches of a name at the end of a line


def loss_curves(runs: pd.DataFrame, curves: pd.DataFrame, keys: KeyAxes, dashed: str | None) -> Figure:
    """Draw the unsmoothed training loss of these runs; where a run reaches the floor as loss − floor, logarithmically.

    curves: the rows of the training nll only. The first of `keys.rest` makes the rows of panels; `dashed` is a key
    drawn as dashes.
    """
    runs = runs[runs["folder"].isin(curves["folder"])]
    scale = scale_of(runs)
    curves = above_floor(runs, curves, scale)
    of_run = by_run(curves)
    row = next((key for key in keys.rest if key != dashed), None)
    rows, columns = values_of(runs, row), values_of(runs, keys.column)
    dashes = dict(zip(values_of(runs, dashed), LINES, strict=False))
    styles = colours(runs, keys.colour)
    many = len(styles) > MANY
    last = int(curves["step"].max())
    window = running(last)
    figure, grid = panels(len(rows), len(columns), row_height=max(2.2, many * LINE_HEIGHT * len(styles)))
    panel_titles(grid[0], keys.column, columns)
    crossed, lowest, named = False, np.inf, False  # named: whether a panel has baselines
    edges: list[tuple[Axes, list[EdgeLabel]]] = []
    for axes, row_value in zip(grid, rows, strict=True):
        label = "" if row is None else f"{name_of(row, row_value)}\n"
        axes[0].set_ylabel(f"{label}{scale.label}")
        for axis, column in zip(axes, columns, strict=True):
            axis.set_yscale("log" if scale.regret else "linear")
            panel = where(runs, **_given({row: row_value, keys.column: column}))
            names = []
            for value, style in styles.items():
                for dashed_value, dash in dashes.items():
                    some = where(panel, **_given({keys.colour: value, dashed: dashed_value}))
                    style = style._replace(line=dash) if dashed else style
                    mean = _curves(axis, some, of_run, style, window, scale.regret)
                    crossed |= bool((some["outcome"] == "diverged").any())
                    lowest = min(lowest, _last(mean) / 3)
                    if many and len(mean):
                        names.append(EdgeLabel(name_of(str(keys.colour), value), float(mean.iloc[-1]), style.colour))
            baselines = on_axis(panel, scale)
            named |= bool(baselines)
            alike = baselines == on_axis(runs, scale)
            for _, loss in baselines:
                axis.axhline(loss, color="0.55", lw=0.7, ls=(0, (4, 3)), zorder=1)
            if many:
                edges.append((axis, names))
            elif axis is axes[-1] or not alike:
                edges.append((axis, [EdgeLabel(f"{name} {loss:.2f}", loss) for name, loss in baselines]))
    top = top_of(runs, curves, scale)
    grid[0][0].set_ylim(lowest if scale.regret and 0 < lowest < top else 0 if not scale.regret else None, top)
    for axis in grid.flat:
        axis.set_xlim(0, last)
        axis.xaxis.set_major_locator(FixedLocator(tick_places(0, last, most=6)))
        for line in axis.lines:
            if line.get_gid() == "cross":
                line.set_ydata([min(line.get_ydata()[0], top)])
    for axis in grid[-1]:
        axis.set_xlabel("training step")

    handles = [
        _line(name_of(str(keys.colour), value), style) for value, style in styles.items() if keys.colour and not many
    ]
    if dashed:
        handles += [
            Line2D([], [], color="0.3", ls=dash, lw=1.4, label=name_of(dashed, value)) for value, dash in dashes.items()
        ]
    if crossed:
        handles.append(Line2D([], [], color="0.3", ls="", marker="x", ms=5, mew=1.4, label="diverged"))
    several = len(runs) > runs.groupby([key for key in swept_keys(runs) if key != "seed"] or "state").ngroups
    drawn = [f"{'geometric ' * scale.regret}mean over the seeds"] * several
    drawn += [f"running mean of {window} steps"] * (window > 1)
    caption = f"{scale.note} Thin: every {'seed and ' if several else ''}step, unsmoothed.".lstrip()
    caption += f" Thick: {' of a '.join(drawn)}." if drawn else ""
    if crossed and several:
        caption += " A mean ends where a seed diverged."
    if named:
        caption += " Dashed grey: baselines, reached by a model that ignores part of the problem"
        caption += ", and the bar, at or below which a run is trained." if "baseline.bar" in runs else "."
    for norm in [norm for norm in values_of(runs, "norm") if norm in POOLED] if "norm" in runs else []:
        caption += f" {norm} normalises over all texts of a batch, so a training loss may profit from other texts."
    add_titles_and_legend(figure, "Training loss", formatting.heading(runs, swept_keys(runs)), caption, handles)
    label_edges(figure, edges)
    return figure


def _curves(
    axis: Axes, runs: pd.DataFrame, curves: Mapping[str, pd.Series], style: LineStyle, window: int, log: bool
) -> pd.Series:
    """Draw each run as a thin line and their mean as a thick one; return the mean, empty if there is none."""
    for run in runs.to_dict("records"):
        finite = curves.get(run["folder"])
        if finite is None or finite.empty:
            continue
        axis.plot(finite.index, finite.where((finite > 0) | (not log)), color=style.colour, lw=0.4, alpha=0.3, zorder=2)
        if run["outcome"] == "diverged":
            at = finite.index[-1] if pd.isna(run["diverged_at"]) else run["diverged_at"]
            cross: dict[str, Any] = {
                "marker": "x",
                "ms": 5,
                "mew": 1.4,
                "color": style.colour,
                "clip_on": False,
                "zorder": 5,
            }
            axis.plot([at], [finite.iloc[-1]], gid="cross", **cross)
    mean = mean_curve(runs, curves, window, log)
    if len(mean):
        axis.plot(mean.index, mean, color=style.colour, ls=style.line, lw=1.5, zorder=3)
    return mean


def mean_curve(runs: pd.DataFrame, curves: Mapping[str, pd.Series], window: int, log: bool) -> pd.Series:
    """The mean over the completed runs of a running mean of their values, by step; geometric with log.

    curves: of each run, see `by_run`. A mean over the remaining seeds would jump where one diverges, so it ends with
    the first that does. Empty where no run has completed, or one has no finite value.
    """
    found = [curves.get(folder, pd.Series(dtype=float)) for folder in runs.loc[runs["state"] == "completed", "folder"]]
    whole = [each.rolling(window, center=True, min_periods=1).mean() for each in found]
    if not whole or any(each.empty for each in whole):
        return pd.Series(dtype=float)
    seeds = pd.concat(whole, axis=1).dropna()
    mean = np.exp(seeds.where(seeds > 0).map(np.log).mean(axis=1, skipna=False)) if log else seeds.mean(axis=1)
    return pd.Series(mean)


def above_floor(runs: pd.DataFrame, curves: pd.DataFrame, scale: Scale) -> pd.DataFrame:
    """The curves with their values as they are drawn: loss − floor where the scale says so."""
    floor = floors(runs) if scale.regret else pd.Series(0.0, runs.index)
    return curves.assign(value=curves["value"] - curves["folder"].map(dict(zip(runs["folder"], floor, strict=True))))


def running(last: int) -> int:
    """Over how many steps the running mean is, of a curve with this last step: an odd number."""
    return max(1, last // 50) | 1


def by_run(curves: pd.DataFrame) -> dict[str, pd.Series]:
    """The finite values of each run by step, by the run's folder."""
    series = ((str(folder), rows.set_index("step")["value"].sort_index()) for folder, rows in curves.groupby("folder"))
    return {folder: values[values.abs() < float("inf")] for folder, values in series}


def _last(mean: pd.Series) -> float:
    """The mean over the last twentieth of the steps, infinite without any: its minimum is a matter of noise."""
    ending = mean.tail(max(1, len(mean) // 20)).mean()
    return float(ending) if ending == ending else np.inf


def top_of(runs: pd.DataFrame, curves: pd.DataFrame, scale: Scale) -> float:
    """The end of the axis, just above the first loss, so that a diverging run does not flatten the others."""
    finite = curves[curves["value"].abs() < float("inf")]
    first = float(finite.loc[finite["step"] == finite["step"].min(), "value"].max())
    baselines = [value for _, value in on_axis(runs, scale)]
    return 1.05 * (max(*baselines, min(first, 2 * max(baselines))) if baselines else first)


def _given(keys: dict[str | None, Any]) -> dict[str, Any]:
    return {key: value for key, value in keys.items() if key is not None}


def _line(label: str, style: LineStyle) -> Line2D:
    return Line2D([], [], color=style.colour, ls=style.line, lw=1.5, label=label)
