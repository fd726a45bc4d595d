"""Does the best learning rate carry over with depth? One panel per variant, with the slope of a straight line."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from normexp.views import formatting
from normexp.views.grid import add_titles_and_legend, panels, per_row, values_of, where
from normexp.views.names import name_of


def rate_by_depth(points: pd.DataFrame, variants: pd.DataFrame, *, title: str, settings: str, note: str = "") -> Figure:
    """Draw the best rate of every variant over depth, both logarithmic, and a line where its slope is known.

    points: one row per variant and depth, with lr_fitted, trained, the share of fresh seeds that train, and window, 0
    where no rate learned. variants: one per variant, with drift, the slope d ln lr / d ln depth, and its interval
    drift_low and drift_high. note: at the end of the caption.
    """
    names, depths = values_of(points, "variant"), np.array(values_of(points, "depth"), dtype=float)
    slopes, learned = variants.set_index("variant"), points[points["window"] != 0]  # where it is 0 no rate is the best
    in_row = per_row(len(names))
    figure, grid = panels(-(-len(names) // in_row), in_row, row_height=1.7, shared=False)
    low, high = float(learned["lr_fitted"].min()), float(learned["lr_fitted"].max())
    for number, axis in enumerate(grid.flat):
        axis.set_visible(number < len(names))
        if number >= len(names):
            continue
        rows, slope = where(learned, variant=names[number]), slopes.loc[names[number]]
        works = rows[rows["trained"] > 0.5]
        for some, face in ((works, "black"), (rows[~(rows["trained"] > 0.5)], "white")):
            axis.plot(some["depth"], some["lr_fitted"], "o", ms=3.5, color="black", mfc=face, lw=0)
        known = f"not known, {len(works)} depth{'s' * (len(works) != 1)}"
        if np.isfinite(slope["drift"]):
            x, y = np.log(works["depth"].astype(float)), np.log(works["lr_fitted"])
            ends = np.array([x.min(), x.max()])
            axis.plot(np.exp(ends), np.exp(y.mean() + slope["drift"] * (ends - x.mean())), color="crimson", lw=1)
            known = formatting.slope(slope["drift"], slope["drift_low"], slope["drift_high"])
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_xlim(depths[0] / 1.2, depths[-1] * 1.2)
        axis.set_ylim(low / 1.5, high * 1.5)
        axis.set_xticks(depths, [formatting.number(int(depth)) for depth in depths])
        axis.xaxis.set_minor_locator(NullLocator())
        axis.set_title(f"{name_of('variant', names[number])}\nslope {known}", loc="left")
        if number % in_row == 0:
            axis.set_ylabel("best learning rate")
        else:
            axis.tick_params(axis="y", which="both", labelleft=False)
        axis.set_xlabel("depth" if number + in_row >= len(names) else "")
    caption = (
        "Minimum of a parabola through the best rate of the search and its neighbours. Slope: d ln lr / d ln depth "
        "with its 95 % interval, over the depths at which most fresh seeds train, three at least; 0: the rate carries "
        "over. Open: most seeds are not trained, or there are none. No point: no rate learned."
    )
    add_titles_and_legend(figure, title, settings, f"{caption} {note}".rstrip(), [])
    return figure
