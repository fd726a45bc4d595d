"""The gradient norm by layer, with a slider over the measured steps."""

from typing import Any

import numpy as np
import pandas as pd
from bokeh.models import ColumnDataSource, CustomJS, CustomJSTickFormatter, FixedTicker
from bokeh.models.ui import UIElement
from bokeh.models.widgets import Slider

from normexp.views.gradient_norms import DECADES, SITE_NORM, SITES, one_site
from normexp.views.grid import tick_places
from normexp.views.report.drawing import Panels
from normexp.views.report.lines import Lines
from normexp.views.runs import load_table

STEPS = 25  # that the slider has at most
ABOVE = 100  # the end of the axis, as a multiple of the usual largest norm: one explosion must not flatten all others
# The legend is linked to what changes, which clears its lines; the last statement draws them again.
SWITCH = """
const at = slider.value
for (const [shown, every] of sources) {
  const layer = shown.data.layer
  const norm = every.data.norm.slice(at * layer.length, (at + 1) * layer.length)
  shown.data = {layer, norm}
}
key.change.emit()
"""


def layer_plot(runs: pd.DataFrame, lines: Lines) -> tuple[UIElement, str] | None:
    """The figure of these completed runs and what it shows; None without any norm that can be drawn."""
    layers = one_site(load_table(runs, "layers", SITE_NORM))
    layers = layers.assign(log=_logarithm(layers["value"].to_numpy(float)))
    if layers["log"].isna().all():
        return None
    measured = np.sort(layers["step"].unique())
    steps = measured[np.unique(np.linspace(0, len(measured) - 1, STEPS).round().astype(int))]
    layers = layers[layers["step"].isin(steps)]
    panels = Panels(lines.lines, ("layer", "layer"), ("norm", "gradient norm"), _limits(layers), log=True)
    stacks = [stack for stack in ("encoder", "decoder") if stack in set(layers["stack"])]
    pairs: list[tuple[ColumnDataSource, ColumnDataSource]] = []
    for stack in stacks:
        if len(lines.panels) > 1:
            panels.start_row()
        rows = layers[layers["stack"] == stack]
        for panel in lines.panels:
            means = {name: _means(rows, folders) for name, folders in panel.folders.items()}
            means = {name: mean for name, mean in means.items() if len(mean)}
            if not means:
                continue
            last = max(int(mean.index.get_level_values("layer").max()) for mean in means.values())
            sources = {name: _sources(mean, steps, last) for name, mean in means.items()}
            pairs += sources.values()
            drawn = panels.add(
                ", ".join(filter(None, [panel.title, stack if len(stacks) > 1 else ""])),
                {name: shown for name, (shown, _) in sources.items()},
                (0.5, last + 0.5),
                dots=True,
            )
            drawn.xaxis.ticker = FixedTicker(ticks=tick_places(1, last))
    sites = " or ".join(name for site, name in SITES.items() if site in set(layers["site"]))
    said = f"Norm of the gradient of all parameters of {sites} sub-layer, before clipping. Geometric mean over the "
    said += "completed seeds; no point where it is 0 or not finite for one of them."
    return panels.layout(*_slider(steps, pairs, panels.key)), said


def _logarithm(values: Any) -> Any:
    """The logarithm of what a logarithmic axis can show, else NaN."""
    return np.log(np.where(np.isfinite(values) & (values > 0), values, np.nan))


def _means(rows: pd.DataFrame, folders: list[str]) -> pd.Series:
    """The geometric mean over the runs by step and layer; NaN where a run has no value, or none that can be drawn."""
    some = rows[rows["folder"].isin(folders)]
    logs = some.groupby(["step", "layer"])["log"]
    count = some["folder"].nunique()
    return pd.Series(np.exp(logs.mean().where(logs.count() == count)))


def _sources(mean: pd.Series, steps: Any, last: int) -> tuple[ColumnDataSource, ColumnDataSource]:
    """The values of the first step, as they are drawn, and those of all steps one after the other."""
    places = pd.MultiIndex.from_product([steps, range(1, last + 1)], names=["step", "layer"])
    norms = mean.reindex(places).to_numpy(np.float32)
    layers = np.arange(1, last + 1, dtype=np.int32)
    return ColumnDataSource({"layer": layers, "norm": norms[:last]}), ColumnDataSource({"norm": norms})


def _limits(layers: pd.DataFrame) -> tuple[float, float]:
    """The ends of the axis, the same at all steps."""
    usual = float(layers.groupby("folder")["log"].max().median())
    high = min(float(layers["log"].max()), usual + np.log(ABOVE))
    low = max(float(layers["log"].min()), high - DECADES * np.log(10))
    return float(np.exp(low)) / 2, float(np.exp(high)) * 2


def _slider(steps: Any, pairs: list[tuple[ColumnDataSource, ColumnDataSource]], key: ColumnDataSource) -> list[Slider]:
    """The slider that switches the sources, those of the panels and of the legend; none where one step was measured."""
    if len(steps) == 1:
        return []
    shown = {"steps": [int(step) for step in steps]}
    slider = Slider(
        start=0,
        end=len(steps) - 1,
        value=0,
        step=1,
        title="step",
        format=CustomJSTickFormatter(args=shown, code="return steps[tick]"),
        sizing_mode="stretch_width",
        margin=0,
        # It stays in sight while the page is scrolled to the panels below.
        styles={"position": "sticky", "top": "0", "z-index": "1", "background": "#fff", "padding": "8px 20px"},
    )
    slider.js_on_change("value", CustomJS(args={"slider": slider, "sources": pairs, "key": key}, code=SWITCH))
    return [slider]
