"""A heat map of many variants: final loss as colour, outcome as letter, learning rate as text."""

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
from normexp.views.grid import add_titles_and_legend
from normexp.views.style import text_colour
from normexp.views.table import BASELINES

ROW, NARROW, WIDE = 0.2, 0.95, 1.5  # inches


def outcome_map(rates: pd.DataFrame, runs: pd.DataFrame, *, title: str, settings: str, caption: str) -> Figure:
    """Draw one row per variant, the best at the greatest depth first: rates on the left, depths on the right.

    rates: the runs over lr from which the rate of each variant was chosen. runs: the runs at that rate, over depth and
    seed. Both are frames from load_runs. title, settings, caption: see grid.add_titles_and_legend.
    """
    runs = runs.assign(loss=_loss(runs))
    rates = rates.assign(loss=_loss(rates))
    deepest = runs[runs["depth"] == runs["depth"].max()].groupby("variant")["loss"].mean()
    order = deepest.fillna(math.inf).sort_values(kind="stable").index.tolist()
    baselines = {
        text: runs[f"baseline.{name}"].iloc[0] for name, text in BASELINES.items() if f"baseline.{name}" in runs
    }
    baselines = {text: float(loss) for text, loss in baselines.items() if loss == loss}
    # From well trained to a little above the baselines; losses outside share the colour of the end of the scale.
    norm = LogNorm(1e-3, 1.3 * max(baselines.values()), clip=True)
    lrs, depths = sorted(rates["lr"].unique()), sorted(runs["depth"].unique())
    figure = Figure(figsize=(1.6 + NARROW * len(lrs) + WIDE * len(depths) + 1.4, ROW * len(order) + 0.6))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[NARROW * len(lrs), WIDE * len(depths)])
    chosen = runs.groupby("variant")["lr"].first()
    for row, variant in enumerate(order):
        for column, lr in enumerate(lrs):
            at_lr = rates[(rates["variant"] == variant) & (rates["lr"] == lr)]
            _field(left, row, column, at_lr, norm, with_lr=False)
            if lr == chosen[variant]:
                left.add_patch(Rectangle((column - 0.48, row - 0.46), 0.96, 0.92, fill=False, ec="black", lw=1))
        for column, depth in enumerate(depths):
            _field(
                right, row, column, runs[(runs["variant"] == variant) & (runs["depth"] == depth)], norm, with_lr=True
            )
    _axis(left, [f"lr {formatting.number(lr)}" for lr in lrs], order)
    _axis(right, [f"{depth}L-{depth}L" for depth in depths], order)
    colours = matplotlib.cm.ScalarMappable(norm, "viridis_r")
    bar = figure.colorbar(colours, ax=[left, right], aspect=40, pad=0.07, label=f"final loss ({formatting.unit(runs)})")
    for text, loss in baselines.items():
        bar.ax.axhline(loss, color="white", lw=0.8)
        bar.ax.text(-0.25, loss, text, ha="right", va="center", fontsize=5.5, transform=bar.ax.get_yaxis_transform())
    add_titles_and_legend(figure, title, settings, caption, [])
    return figure


def _loss(frame: pd.DataFrame) -> pd.Series:
    """Final loss; infinite where the run diverged without one."""
    loss = frame["final_loss"].astype(float)
    return loss.where(~((frame["outcome"] == "diverged") & loss.isna()), math.inf)


def _field(axis: Axes, row: int, column: int, runs: pd.DataFrame, norm: LogNorm, *, with_lr: bool) -> None:
    if not len(runs) or runs["loss"].isna().all():
        return
    loss = float(runs["loss"].mean())
    letter = formatting.outcome_initials(runs.sort_values("seed")["outcome"])
    face = matplotlib.colormaps["viridis_r"](norm(loss)) if math.isfinite(loss) else (0.85, 0.85, 0.85, 1.0)
    axis.add_patch(Rectangle((column - 0.48, row - 0.46), 0.96, 0.92, fc=face, ec="none"))
    spread = f" ± {runs['loss'].std():.3f}" if len(runs) > 1 and np.isfinite(runs["loss"]).all() else ""
    value = "not finite" if not math.isfinite(loss) else f"{loss:.3f}" if loss < 1000 else f"{loss:.1e}"
    rate = f"  {formatting.number(float(runs['lr'].iloc[0]))}" if with_lr else ""
    colour = text_colour(face)
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
