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
from normexp.views.levels import levels
from normexp.views.names import name_of
from normexp.views.style import text_colour

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
    baselines = {name: loss for name, loss in levels(runs) if loss > 0}
    # From the best to a little above the baselines; losses above share the colour of the end of the scale.
    finite = pd.concat([frame.loc[np.isfinite(frame["loss"]) & (frame["loss"] > 0), "loss"] for frame in (rates, runs)])
    high = 1.3 * max(baselines.values(), default=float(finite.max()))
    norm = LogNorm(min(float(finite.min()), high / 10), high, clip=True)
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
    names = [name_of("variant", variant) for variant in order]
    _axis(left, [f"lr {formatting.number(lr)}" for lr in lrs], names)
    _axis(right, [f"{depth}L-{depth}L" for depth in depths], names)
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
    loss = float(runs["loss"].mean())  # infinite where a seed diverged
    letter = formatting.outcome_initials(runs.sort_values("seed")["outcome"])
    face = matplotlib.colormaps["viridis_r"](norm(loss)) if math.isfinite(loss) else (0.85, 0.85, 0.85, 1.0)
    axis.add_patch(Rectangle((column - 0.48, row - 0.46), 0.96, 0.92, fc=face, ec="none"))
    spread = f" ± {_digits(runs['loss'].std())}" if len(runs) > 1 and np.isfinite(runs["loss"]).all() else ""
    value = _digits(loss) if math.isfinite(loss) else "not finite"
    rate = f"  {formatting.number(float(runs['lr'].iloc[0]))}" if with_lr else ""
    colour = text_colour(face)
    axis.text(column - 0.43, row, letter, ha="left", va="center", fontsize=6, fontweight="bold", color=colour)
    axis.text(column + 0.43, row, f"{value}{spread}{rate}", ha="right", va="center", fontsize=5.2, color=colour)


def _digits(loss: float) -> str:
    """Two significant digits, which tell 1e-4 from 4e-4; three from 1 on."""
    return formatting.number(float(f"{loss:.3g}" if loss >= 1 else f"{loss:.2g}"))


def _axis(axis: Axes, columns: Sequence[str], rows: Sequence[str]) -> None:
    axis.set_xlim(-0.5, len(columns) - 0.5)
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_xticks(range(len(columns)), columns)
    axis.xaxis.tick_top()
    axis.set_yticks(range(len(rows)), rows)
    axis.tick_params(length=0)
    for spine in axis.spines.values():
        spine.set_visible(False)
