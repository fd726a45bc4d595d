"""The training loss by step, to hover over: the means of the static loss curves."""

import numpy as np
import pandas as pd
from bokeh.models import ColumnDataSource
from bokeh.models.ui import UIElement

from normexp.views.levels import scale_of
from normexp.views.loss_curves import TRAIN_NLL, above_floor, by_run, mean_curve, running, top_of
from normexp.views.report.drawing import Panels
from normexp.views.report.lines import Lines
from normexp.views.runs import load_table

POINTS = 200  # of a line


def loss_plot(runs: pd.DataFrame, lines: Lines) -> tuple[UIElement, str] | None:
    """The figure of these completed runs and what it shows; None without any finite loss."""
    curves = load_table(runs, "curves", TRAIN_NLL)
    if not np.isfinite(curves["value"].astype(float)).any():
        return None
    runs = runs[runs["folder"].isin(curves["folder"])]
    scale = scale_of(runs)
    curves = above_floor(runs, curves, scale)
    last = int(curves["step"].max())
    window = running(last)
    of_run = by_run(curves)
    means = [
        {
            name: mean_curve(runs[runs["folder"].isin(folders)], of_run, window, scale.regret)
            for name, folders in panel.folders.items()
        }
        for panel in lines.panels
    ]
    top = top_of(runs, curves, scale)
    drawable = [mean[mean > 0].min() for found in means for mean in found.values() if (mean > 0).any()]
    bottom = min([*drawable, top / 10]) / 1.5 if scale.regret else 0.0
    panels = Panels(
        lines.lines,
        ("step", "training step"),
        ("loss", scale.label),
        (float(bottom), top),
        log=scale.regret,
    )
    for panel, found in zip(lines.panels, means, strict=True):
        panels.add(panel.title, {name: _source(mean) for name, mean in found.items()}, (0, last))
    shown = f"{'geometric ' * scale.regret}mean over the completed seeds".capitalize()
    shown += f" of a running mean of {window} steps" * (window > 1)
    return panels.layout(), f"{scale.note} {shown}. A line ends where the first of its runs does.".lstrip()


def _source(curve: pd.Series) -> ColumnDataSource:
    """The curve with at most POINTS points, first and last among them."""
    kept = np.unique(np.linspace(0, len(curve) - 1, min(POINTS, len(curve))).round().astype(int))
    thin = curve.iloc[kept]
    return ColumnDataSource({"step": thin.index.to_numpy(np.int32), "loss": thin.to_numpy(np.float32)})
