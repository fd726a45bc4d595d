"""The figures of a map: what each variant reaches at each depth and rate, and how the variants rank at their best."""

import math
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from normexp.records.outcome import HAS_LEARNED
from normexp.views import formatting
from normexp.views.grid import add_titles_and_legend, panels, per_row, values_of, where
from normexp.views.names import name_of

GREY = (0.82, 0.82, 0.82, 1.0)  # of a run that learned nothing
HATCH = "////"  # of a run that diverged
LEVELS = {"blind": "a model that does not read its input", "floor": "the smallest possible loss"}


def rate_map(rates: pd.DataFrame, points: pd.DataFrame, *, title: str, settings: str, unit: str) -> Figure:
    """Draw one panel per variant: depth to the right, learning rate upwards, loss as colour.

    rates: one row per run of the search (variant, depth, lr, loss, outcome). points: one per variant and depth, with
    its best lr and with the levels floor and blind; window is 0 where no rate learned. unit: of the loss.
    """
    variants, depths, lrs = values_of(points, "variant"), values_of(points, "depth"), values_of(rates, "lr")
    learned = rates.loc[rates["outcome"].isin(HAS_LEARNED), "loss"]
    low = float(learned.min()) if len(learned) else float(points["floor"].min())
    norm = Normalize(low, float(points["blind"].max()))
    in_row = per_row(len(variants))
    figure, grid = panels(-(-len(variants) // in_row), in_row, row_height=0.9 + 0.16 * len(lrs), shared=False)
    for axis in grid.flat:
        axis.set_visible(False)
    for number, variant in enumerate(variants):
        axis = grid.flat[number]
        axis.set_visible(True)
        axis.set_title(name_of("variant", variant), loc="left")
        _panel(axis, where(rates, variant=variant), where(points, variant=variant), depths, lrs, norm)
        axis.set_xticks(range(len(depths)), [str(depth) for depth in depths])
        axis.set_yticks(range(len(lrs)), [formatting.number(lr) for lr in lrs] if number % in_row == 0 else [])
        axis.set_ylabel("learning rate" if number % in_row == 0 else "")
        axis.set_xlabel("depth" if number + in_row >= len(variants) else "")
    label = f"validation loss ({unit})"
    figure.colorbar(matplotlib.cm.ScalarMappable(norm, "viridis_r"), ax=grid, aspect=30, pad=0.02, label=label)
    caption = (
        "One run per field. Frame: the best rate of those that learn, dashed where most fresh seeds are not trained. "
        "Line: the highest rate that trains, where a higher one was tried and does not, made monotone in depth. Grey: "
        "stuck, no better than a model that does not read its input; hatched: diverged. White: not tried."
    )
    if points["trained"].isna().any():
        caption += " Grey frame: no fresh seeds yet."
    add_titles_and_legend(figure, title, settings, caption, [])
    return figure


def _panel(
    axis: Axes, rates: pd.DataFrame, points: pd.DataFrame, depths: list[Any], lrs: list[Any], norm: Normalize
) -> None:
    axis.set_xlim(-0.5, len(depths) - 0.5)
    axis.set_ylim(-0.5, len(lrs) - 0.5)
    axis.tick_params(length=2)
    colours = matplotlib.colormaps["viridis_r"]
    for _, run in rates.iterrows():
        x, y = depths.index(run["depth"]), lrs.index(run["lr"])
        bad = run["outcome"] in ("stuck", "diverged")
        hatch = HATCH if run["outcome"] == "diverged" else None
        face = GREY if bad else colours(norm(run["loss"]))
        edge = "0.6" if hatch else "none"
        axis.add_patch(Rectangle((x - 0.48, y - 0.48), 0.96, 0.96, hatch=hatch, fc=face, ec=edge, lw=0))
    for _, point in points[points["window"] != 0].iterrows():  # 0: no rate learned, so none is the best
        x, y = depths.index(point["depth"]), int(np.argmin(np.abs(np.log(np.array(lrs) / point["lr"]))))
        line = (0, (2, 2)) if point["trained"] <= 0.5 else "-"
        ink = "0.5" if math.isnan(point["trained"]) else "black"
        axis.add_patch(Rectangle((x - 0.46, y - 0.46), 0.92, 0.92, fill=False, ec=ink, lw=1, ls=line))
    ends = [_highest(rates[rates["depth"] == depth], lrs) for depth in depths]
    boundary = np.where(np.isfinite(ends), np.minimum.accumulate(ends), np.nan) + 0.5
    axis.stairs(boundary, np.arange(len(depths) + 1) - 0.5, color="crimson", lw=1.2, baseline=None)


def _highest(rates: pd.DataFrame, lrs: list[Any]) -> float:
    """The place of the highest rate that trains; −1 if none does, infinite if no higher one was tried."""
    trained = rates.loc[rates["outcome"] == "trained", "lr"]
    if not len(rates) or (len(trained) and trained.max() == rates["lr"].max()):
        return math.inf
    return lrs.index(trained.max()) if len(trained) else -1


def ranking(points: pd.DataFrame, *, title: str, settings: str, unit: str) -> Figure:
    """Draw the loss of every variant at its best rate with its 95 % interval, one panel per depth, the best on top.

    A cross at the right edge: not all seeds are finite. An open marker: most seeds are not trained.
    """
    depths = values_of(points, "depth")
    deepest = points[points["depth"] == depths[-1]].sort_values("loss", na_position="last")
    order = list(dict.fromkeys([*deepest["variant"], *points["variant"]]))
    figure, grid = panels(1, len(depths), row_height=0.6 + 0.17 * len(order), shared=False)
    dashed: dict[str, str] = {}
    for axis, depth in zip(grid[0], depths, strict=True):
        part = where(points, depth=depth)
        finite = part[np.isfinite(part["loss"])]
        for _, point in part[part["loss"].notna()].iterrows():
            row = order.index(point["variant"])
            if not math.isfinite(point["loss"]):
                axis.plot(1.0, row, "x", color="black", ms=4, transform=axis.get_yaxis_transform(), clip_on=False)
                continue
            filled = point["trained"] > 0.5
            spread = [[point["loss"] - point["low"]], [point["high"] - point["loss"]]]
            axis.errorbar(
                *(point["loss"], row),
                xerr=spread if np.isfinite(spread).all() else None,
                **{"fmt": "o", "ms": 3.5, "color": "black", "mfc": "black" if filled else "white", "lw": 1},
            )
        for name in LEVELS:
            level = float(part[name].iloc[0])
            if len(finite) and level and finite["loss"].min() * 0.8 < level < finite["loss"].max() * 1.2:
                axis.axvline(level, color="0.6", lw=0.8, ls=(0, (4, 2)))
                dashed[name] = LEVELS[name]
        axis.set_ylim(len(order) - 0.5, -0.5)
        axis.set_yticks(range(len(order)), [name_of("variant", each) for each in order] if axis is grid[0][0] else [])
        axis.set_xlabel(unit)
        axis.set_title(f"depth {depth}", loc="left")
        axis.grid(axis="y", color="0.92", lw=0.6)
    caption = (
        "Validation loss at the best rate of each variant and depth, which was chosen on another seed: mean over fresh "
        "seeds with its 95 % t-interval. Overlapping intervals do not rank variants. Open: most seeds are not trained; "
        "cross: a seed diverged"
    )
    caption += f"; dashed: {' and '.join(dashed.values())}." if dashed else "."
    add_titles_and_legend(figure, title, settings, caption, [])
    return figure
