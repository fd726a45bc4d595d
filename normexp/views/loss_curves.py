"""Training loss over steps: one column per depth or other key, one colour per variant, baselines as grey lines."""

from collections.abc import Sequence
from typing import Any

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
from normexp.views.runs import swept_keys
from normexp.views.style import LINES, LineStyle
from normexp.views.table import BASELINES

TRAIN_NLL = [("statistic", "==", "nll"), ("split", "==", "train")]


def loss_curves(runs: pd.DataFrame, curves: pd.DataFrame, keys: KeyAxes, dashed: str | None) -> Figure:
    """Draw the unsmoothed training loss of these runs.

    curves: the rows of the training nll only. The first of `keys.rest` makes the rows of panels; `dashed` is a key
    drawn as dashes.
    """
    runs = runs[runs["folder"].isin(curves["folder"])]
    row = next((key for key in keys.rest if key != dashed), None)
    rows, columns = values_of(runs, row), values_of(runs, keys.column)
    dashes = dict(zip(values_of(runs, dashed), LINES, strict=False))
    styles = colours(runs, keys.colour)
    window = _window(int(curves["step"].max()))
    figure, grid = panels(len(rows), len(columns), row_height=2.2)
    panel_titles(grid[0], keys.column, columns)
    crossed = False
    for axes, row_value in zip(grid, rows, strict=True):
        label = "" if row is None else f"{formatting.setting(row, row_value)}\n"
        axes[0].set_ylabel(f"{label}loss ({formatting.unit(runs)})")
        for axis, column in zip(axes, columns, strict=True):
            panel = where(runs, **_given({row: row_value, keys.column: column}))
            for value, style in styles.items():
                for dashed_value, dash in dashes.items():
                    some = where(panel, **_given({keys.colour: value, dashed: dashed_value}))
                    crossed |= _curves(axis, some, curves, style._replace(line=dash) if dashed else style, window)
            for _, loss in _baselines(panel):
                axis.axhline(loss, color="0.55", lw=0.7, ls=(0, (4, 3)), zorder=1)
    top = _top(runs, curves)
    grid[0][0].set_ylim(0, top)
    for axis in grid.flat:
        axis.set_xlim(0, int(curves["step"].max()))
        axis.xaxis.set_major_locator(FixedLocator(tick_places(0, int(curves["step"].max()), most=6)))
        for line in axis.lines:
            if line.get_gid() == "cross":
                line.set_ydata([min(line.get_ydata()[0], top)])
    for axis in grid[-1]:
        axis.set_xlabel("training step")

    handles = [
        _line(formatting.setting(str(keys.colour), value), style) for value, style in styles.items() if keys.colour
    ]
    if dashed:
        handles += [
            Line2D([], [], color="0.3", ls=dash, lw=1.4, label=formatting.setting(dashed, value))
            for value, dash in dashes.items()
        ]
    if crossed:
        handles.append(Line2D([], [], color="0.3", ls="", marker="x", ms=5, mew=1.4, label="diverged"))
    several = len(runs) > runs.groupby([key for key in swept_keys(runs) if key != "seed"] or "state").ngroups
    mean = "mean over the seeds, as a " if several else ""
    caption = f"Thin: every {'seed and ' if several else ''}step, unsmoothed. "
    caption += f"Thick: {mean}running mean of {window} steps."
    if crossed and several:
        caption += " A mean ends where a seed diverged."
    if _baselines(runs):
        caption += " Dashed grey: baselines, reached by a model that ignores part of the problem."
    add_titles_and_legend(figure, "Training loss", formatting.heading(runs, swept_keys(runs)), caption, handles)
    _label_baselines(figure, list(grid[:, -1]), [where(runs, **_given({row: value})) for value in rows])
    return figure


def _curves(axis: Axes, runs: pd.DataFrame, curves: pd.DataFrame, style: LineStyle, window: int) -> bool:
    """Draw each run as a thin line and their mean as a thick one; return whether a run diverged."""
    crossed = False
    whole = []
    for run in runs.to_dict("records"):
        curve = curves[curves["folder"] == run["folder"]].set_index("step")["value"].sort_index()
        finite = curve[curve.abs() < float("inf")]
        if finite.empty:
            continue
        axis.plot(finite.index, finite, color=style.colour, lw=0.4, alpha=0.3, zorder=2)
        if run["state"] == "completed":
            whole.append(finite)
        if run["outcome"] == "diverged":
            crossed = True
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
    if whole:
        # A mean over the remaining seeds would jump where one diverges, so it ends with the first that does.
        mean = pd.concat(whole, axis=1).dropna().mean(axis=1)
        smooth = mean.rolling(window, center=True, min_periods=1).mean()
        axis.plot(smooth.index, smooth, color=style.colour, ls=style.line, lw=1.5, zorder=3)
    return crossed


def _label_baselines(figure: Figure, axes: Sequence[Axes], rows: Sequence[pd.DataFrame]) -> None:
    """Name the baselines at the right edge, moved apart where they are closer than a line of text."""
    placed = []
    for axis, runs in zip(axes, rows, strict=True):
        at = {"transform": axis.get_yaxis_transform(), **_SMALL}
        baselines = sorted(_baselines(runs), key=lambda baseline: baseline[1])
        texts = [axis.text(1.02, value, f"{name} {value:.2f}", **at) for name, value in baselines]
        placed.append((axis, texts, [value for _, value in baselines]))
    figure.draw_without_rendering()  # the height of the panels is known only after the layout
    for axis, texts, values in placed:
        line = 8.5 / 72 / (axis.get_position().height * figure.get_size_inches()[1])
        gap = line * (axis.get_ylim()[1] - axis.get_ylim()[0])
        for text, place in zip(texts, spread(values, gap), strict=True):
            text.set_y(place)


_SMALL: dict[str, Any] = {"fontsize": 6.5, "color": "0.35", "va": "center", "ha": "left"}


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Move ascending positions apart until neighbours differ by the gap; every group keeps its centre."""
    groups: list[list[float]] = []
    for place in places:
        groups.append([place])
        while len(groups) > 1 and _low(groups[-1], gap) - _high(groups[-2], gap) < gap - 1e-12:
            groups[-2:] = [groups[-2] + groups[-1]]
    return [_low(group, gap) + index * gap for group in groups for index in range(len(group))]


def _low(group: list[float], gap: float) -> float:
    return sum(group) / len(group) - gap * (len(group) - 1) / 2


def _high(group: list[float], gap: float) -> float:
    return _low(group, gap) + gap * (len(group) - 1)


def _baselines(runs: pd.DataFrame) -> list[tuple[str, float]]:
    columns = [str(column) for column in runs if str(column).startswith("baseline.") and runs[column].notna().any()]
    names = [column.removeprefix("baseline.") for column in columns]
    return [
        (BASELINES.get(name, name), float(runs[column].mean())) for name, column in zip(names, columns, strict=True)
    ]


def _top(runs: pd.DataFrame, curves: pd.DataFrame) -> float:
    """The end of the axis, just above the first loss, so that a diverging run does not flatten the others."""
    finite = curves[curves["value"].abs() < float("inf")]
    first = float(finite.loc[finite["step"] == finite["step"].min(), "value"].max())
    baselines = [value for _, value in _baselines(runs)]
    return 1.05 * (max(*baselines, min(first, 2 * max(baselines))) if baselines else first)


def _window(steps: int) -> int:
    return max(1, steps // 50) | 1


def _given(keys: dict[str | None, Any]) -> dict[str, Any]:
    return {key: value for key, value in keys.items() if key is not None}


def _line(label: str, style: LineStyle) -> Line2D:
    return Line2D([], [], color=style.colour, ls=style.line, lw=1.5, label=label)
