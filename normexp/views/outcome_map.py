"""A heat map of many variants: final loss as colour, outcome as letter, the learning rate in every cell."""

import math
from collections.abc import Sequence

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from normexp.views import formatting
from normexp.views.grid import frame_in
from normexp.views.style import ink
from normexp.views.table import LEVELS

ROW, NARROW, WIDE = 0.2, 0.95, 1.5  # inches


def outcome_map(rates: pd.DataFrame, runs: pd.DataFrame, *, title: str, settings: str, caption: str) -> Figure:
    """Draw one row per variant, best at the greatest depth first: left its learning rates, right its depths.

    rates: runs over lr, from which each variant's rate was chosen; runs: the runs at that rate over depth and seed.
    Both as load_runs gives them. title, settings, caption: see grid.frame_in.
    """
    runs = runs.assign(loss=_loss(runs))
    rates = rates.assign(loss=_loss(rates))
    deepest = runs[runs["depth"] == runs["depth"].max()].groupby("variant")["loss"].mean()
    order = deepest.fillna(math.inf).sort_values(kind="stable").index.tolist()
    levels = {text: runs[f"baseline.{name}"].iloc[0] for name, text in LEVELS.items() if f"baseline.{name}" in runs}
    levels = {text: float(level) for text, level in levels.items() if level == level}
    # From well trained to a little above knowing nothing: what lies outside keeps its number but no colour of its own.
    norm = LogNorm(1e-3, 1.3 * max(levels.values()), clip=True)
    lrs, depths = sorted(rates["lr"].unique()), sorted(runs["depth"].unique())
    figure = Figure(figsize=(1.6 + NARROW * len(lrs) + WIDE * len(depths) + 1.4, ROW * len(order) + 0.6))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[NARROW * len(lrs), WIDE * len(depths)])
    chosen = runs.groupby("variant")["lr"].first()
    for row, variant in enumerate(order):
        for column, lr in enumerate(lrs):
            cell = rates[(rates["variant"] == variant) & (rates["lr"] == lr)]
            _cell(left, row, column, cell, norm, with_lr=False)
            if lr == chosen[variant]:
                left.add_patch(Rectangle((column - 0.48, row - 0.46), 0.96, 0.92, fill=False, ec="black", lw=1))
        for column, depth in enumerate(depths):
            _cell(right, row, column, runs[(runs["variant"] == variant) & (runs["depth"] == depth)], norm, with_lr=True)
    _axis(left, [f"lr {formatting.number(lr)}" for lr in lrs], order)
    _axis(right, [f"{depth}L-{depth}L" for depth in depths], order)
    colours = matplotlib.cm.ScalarMappable(norm, "viridis_r")
    bar = figure.colorbar(colours, ax=[left, right], aspect=40, pad=0.07, label=f"final loss ({formatting.unit(runs)})")
    for text, level in levels.items():
        bar.ax.axhline(level, color="white", lw=0.8)
        bar.ax.text(-0.25, level, text, ha="right", va="center", fontsize=5.5, transform=bar.ax.get_yaxis_transform())
    frame_in(figure, title, settings, caption, [])
    return figure


def _loss(frame: pd.DataFrame) -> pd.Series:
    """Final loss; infinite where the run diverged to what is no number."""
    loss = frame["final_loss"].astype(float)
    return loss.where(~((frame["outcome"] == "diverged") & loss.isna()), math.inf)


def _cell(axis: Axes, row: int, column: int, runs: pd.DataFrame, norm: LogNorm, *, with_lr: bool) -> None:
    if not len(runs) or runs["loss"].isna().all():
        return
    loss = float(runs["loss"].mean())
    letter = formatting.letters(runs.sort_values("seed")["outcome"])
    face = matplotlib.colormaps["viridis_r"](norm(loss)) if math.isfinite(loss) else (0.85, 0.85, 0.85, 1.0)
    axis.add_patch(Rectangle((column - 0.48, row - 0.46), 0.96, 0.92, fc=face, ec="none"))
    spread = f" ± {runs['loss'].std():.3f}" if len(runs) > 1 and np.isfinite(runs["loss"]).all() else ""
    value = "not finite" if not math.isfinite(loss) else f"{loss:.3f}" if loss < 1000 else f"{loss:.1e}"
    rate = f"  {formatting.number(float(runs['lr'].iloc[0]))}" if with_lr else ""
    colour = ink(face)
    axis.text(column - 0.43, row, letter, ha="left", va="center", fontsize=6, fontweight="bold", color=colour)
    axis.text(column + 0.43, row, f"{value}{spread}{rate}", ha="right", va="center", fontsize=5.2, color=colour)


def _axis(axis: Axes, columns: Sequence[str], rows: Sequence[str]) -> None:
    axis.set_xlim(-0.5, len(columns) - 0.5)
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_xticks(range(len(columns)), columns)
    axis.xaxis.tick_top()
    axis.set_yticks(range(len(rows)), rows)
    axis.tick_params(length=0)
    for spine in axis.spines.values():
        spine.set_visible(False)
