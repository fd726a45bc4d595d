"""The interactive figures of a section, drawn with Bokeh where it is installed."""

from typing import Any

import pandas as pd

from normexp.views.report.lines import lines_of
from normexp.views.report.parts import Plot

EXTRA = "interactive"  # of normexp, that installs Bokeh
MOST = 40  # lines of a figure; with more, no line can be found
HINT = f"pip install 'normexp[{EXTRA}]' adds figures with hover, lines to hide and a slider over the steps."


def installed() -> bool:
    """Whether Bokeh is there to draw with."""
    try:
        import bokeh  # noqa: F401
    except ImportError:
        return False
    return True


def plots_of(runs: pd.DataFrame) -> tuple[list[Plot], str]:
    """The interactive figures of the runs of a sweep, and why there are none where there could be.

    Neither without a completed training run.
    """
    trained = runs[(runs["state"] == "completed") & (runs["steps"] != 0)] if "steps" in runs else runs[:0]
    if trained.empty:
        return [], ""
    if not installed():
        return [], HINT
    from bokeh.embed import json_item

    from normexp.views.report.layer_plot import layer_plot
    from normexp.views.report.loss_plot import loss_plot

    lines = lines_of(trained, runs)
    if lines.drawn > MOST:
        return [], f"No interactive figures: {lines.drawn} configurations are more than the {MOST} lines they may have."
    use = "Pointing at a line shows its values" + "; a click on a name hides its line" * (len(lines.lines) > 1)
    plots = []
    for heading, draw in (("Loss by step", loss_plot), ("Gradient norm by layer", layer_plot)):
        drawn = draw(trained, lines)
        if drawn:
            figure, sentence = drawn
            item: dict[str, Any] = dict(json_item(figure))
            plots.append(Plot(heading, f"{sentence} {use}.", item))
    return plots, ""


def library() -> str:
    """The part of Bokeh that runs in a browser, as script elements that load nothing."""
    from bokeh.resources import Resources

    return str(Resources(mode="inline", components=["bokeh", "bokeh-widgets"], log_level="warn").render_js())
