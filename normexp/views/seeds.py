"""A curve over several seeds: the mean, and thin lines for few seeds or a 95 % interval for many."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy.special import stdtrit

FEW = 5  # up to so many seeds every seed is drawn; with more, the interval of the mean
MANY_POINTS = 24  # above so many points a line has no markers, which would hide it
THIN: dict[str, Any] = {"lw": 0.6, "alpha": 0.55, "marker": ".", "ms": 1.5, "zorder": 2}


class Drawn(NamedTuple):
    """What `draw_seeds` drew, for the legend and the caption."""

    markers: bool = False
    thin: bool = False
    band: bool = False
    gap: bool = False
    cross: bool = False  # a value that is not finite
    below: bool = False  # a value that a logarithmic axis cannot show
    mean: bool = True
    joined: bool = True


class SeedTable(NamedTuple):
    """Values with a row per x and a column per seed, NaN where a seed has none that can be drawn.

    dropped: the seeds with a measured value that cannot be drawn.
    """

    values: pd.DataFrame
    dropped: list[Any]

    def statistics(self, geometric: bool = False) -> tuple[pd.Series, pd.Series, pd.Series]:
        """Mean over the seeds at every x, and the ends of its 95 % t-interval.

        NaN where a seed has dropped out: the mean must not turn into one over the survivors. A seed that was simply
        not run at an x does not matter. The interval is NaN where there is a single value.
        """
        values = self.values.map(np.log) if geometric else self.values
        count = values.notna().sum(axis=1)
        mean = values.mean(axis=1).where(self.values[self.dropped].notna().all(axis=1))
        error = values.std(axis=1, ddof=1) / np.sqrt(count)
        half = error * stdtrit((count - 1).clip(lower=1), 0.975)  # Student's t
        middle, low, high = (np.exp(each) if geometric else each for each in (mean, mean - half, mean + half))
        return middle, low, high


def by_seed(rows: pd.DataFrame, x: str, seed: str = "seed", log: bool = False) -> SeedTable:
    """Arrange rows with the columns value, x and seed as a table; on a logarithmic axis only values above 0 count.

    Several rows of one seed at one x are averaged, geometrically on a logarithmic axis.
    """
    value = rows["value"].astype(float)
    drawable = pd.Series(np.isfinite(value) & ((value > 0) | (not log)), rows.index)
    value = value.where(drawable)
    columns = rows[seed].to_numpy() if seed in rows else np.zeros(len(rows))
    keys = [pd.Series(rows[x].to_numpy(), rows.index, name=x), pd.Series(columns, rows.index, name=seed)]
    means = (value.map(np.log) if log else value).groupby(keys).agg(lambda each: each.mean(skipna=False))
    table = means.unstack().sort_index()
    return SeedTable(table.map(np.exp) if log else table, list(dict.fromkeys(columns[~drawable.to_numpy()])))


def draw_seeds(
    axis: Axes,
    rows: pd.DataFrame,
    x: str,
    *,
    seed: str = "seed",
    log: bool = False,
    marks: bool = True,
    mean: bool = True,
    joined: bool = True,
    **line: Any,
) -> Drawn:
    """Draw one curve: `value` of the rows over x, with one curve per seed inside it.

    Up to FEW seeds, thin lines show the seeds and a thick line their mean; with more seeds a band shows the 95 %
    t-interval of the mean. No mean is drawn where a seed diverged or, on a logarithmic axis, is 0 or negative; the
    seeds are drawn there. Crosses at the top edge mark values that are not finite, open triangles at the bottom edge
    those that a logarithmic axis cannot show, unless `marks` is false. mean: whether to draw it; else the seeds alone.
    joined: whether lines join the points. line: matplotlib properties of the mean.
    """
    if rows.empty:
        return Drawn()
    table = by_seed(rows, x, seed, log)
    middle, low, high = table.statistics(log)
    count = table.values.shape[1]
    gap = mean and count > 1 and bool((middle.isna() & table.values.notna().any(axis=1)).any())
    thin, many = (count > 1 and (count <= FEW or gap)) or not mean, mean and count > FEW
    colour, dashes = line["color"], line.get("ls", "-") if joined else ""
    markers = bool(line.get("marker")) and (len(middle) <= MANY_POINTS or not joined)
    shown: dict[str, Any] = {"zorder": 3, "lw": 1.3, "ms": 3, "label": "_mean"} | line | {"ls": dashes}
    if not markers:
        shown["marker"] = ""
    if not joined:  # the seeds are points as well, among which the mean is a larger one
        shown["ms"] = 5
    if mean:
        axis.plot(middle.index, middle, **shown)
    for name in table.values if thin else ():
        # A gap where the seed dropped out; no gap where it was not run.
        points = table.values[name] if name in table.dropped else table.values[name].dropna()
        axis.plot(points.index, points, color=colour, ls=dashes, label="_seed", **THIN)
    if many and low.notna().any() and joined:
        axis.fill_between(middle.index, low, high, color=colour, alpha=0.16, lw=0, zorder=1.5)
    elif many and low.notna().any():
        axis.vlines(middle.index, low, high, color=colour, lw=1, zorder=1.5)
    if not marks:
        return Drawn(markers and mean, thin, many, gap, mean=mean, joined=joined)
    value = rows["value"].astype(float)
    gone = sorted(rows.loc[~np.isfinite(value), x].unique())
    below = sorted(rows.loc[np.isfinite(value) & (value <= 0), x].unique()) if log else []
    edge: dict[str, Any] = {"color": colour, "transform": axis.get_xaxis_transform(), "clip_on": False, "ls": ""}
    for at in gone:
        axis.plot([at], [0.98], marker="x", ms=5, label="_gone", **edge)
    for at in below:
        axis.plot([at], [0.02], marker="v", ms=3.5, mfc="white", label="_below", **edge)
    return Drawn(markers and mean, thin, many, gap, bool(gone), bool(below), mean, joined)


def caption_of(drawn: list[Drawn], geometric: bool) -> str:
    """Sentences that explain the lines, bands and marks of these curves; empty for a single seed without marks."""
    mean = "geometric mean" if geometric else "mean"
    thin, band = any(each.thin for each in drawn), any(each.band for each in drawn)
    sentences = []
    joined = all(each.joined for each in drawn)
    if thin:
        sentences.append("Thin lines: seeds." if joined else "Dots: seeds.")
    if (thin or band) and all(each.mean for each in drawn):
        sentences.append(f"{'Thick lines' if joined else 'Markers'}: {mean} over the seeds.")
    if band:
        sentences.append(f"{'Bands' if joined else 'Bars'}: 95 % t-interval of the mean.")
    if any(each.gap for each in drawn):
        sentences.append("No mean where a seed diverged or is off the axis.")
    if any(each.cross for each in drawn):
        sentences.append("Crosses: not finite.")
    if any(each.below for each in drawn):
        sentences.append("Open triangles: 0 or below.")
    return " ".join(sentences)
