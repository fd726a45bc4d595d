"""What the interactive figures share: panels, a legend that hides lines in all of them, and what hovering shows."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bokeh.layouts import column, row
from bokeh.models import BasicTickFormatter, ColumnDataSource, FixedTicker, HoverTool, PlainText
from bokeh.models.annotations import Legend, LegendItem
from bokeh.models.ui import UIElement
from bokeh.plotting import figure

from normexp.views.report.lines import Line

HEIGHT = 260  # pixels of a panel
NARROWEST = 320  # pixels of a panel across; the page has as many next to each other as fit
WIDEST = 500
ROW = 28  # pixels of a row of the legend
LETTER = 7  # pixels of a letter in it
ACROSS = 7  # parts of the legend at most
TOLERANCE = 12  # pixels across a line within which hovering shows its value
SHORT = 2.3  # decades of a logarithmic axis, up to which it has ticks at 1, 2 and 5


class Panels:
    """Panels for the same lines. A click on the legend hides a line in all of them."""

    def __init__(
        self, lines: Sequence[Line], x: tuple[str, str], y: tuple[str, str], y_range: tuple[float, float], log: bool
    ) -> None:
        """x, y: the column of the sources and the label of the axis. log: of y."""
        self.lines = lines
        self.x, self.x_label = x
        self.y, self.y_label = y
        self.y_range = y_range
        self.log = log
        self.key = ColumnDataSource({"x": [0, 1], "y": [2, 2]})  # of the lines in the legend, above what it shows
        self.rows: list[list[Any]] = [[]]
        self._drawn: dict[str, list[Any]] = {line.name: [] for line in lines}

    def add(
        self, title: str, sources: Mapping[str, ColumnDataSource], x_range: tuple[float, float], dots: bool = False
    ) -> Any:
        """Draw and return a panel. sources: by the names of the lines; a line without one is not in it."""
        panel = _figure(
            height=HEIGHT,
            min_width=NARROWEST,
            x_axis_label=self.x_label,
            y_axis_label=self.y_label,
            x_range=x_range,
            y_range=self.y_range,
            y_axis_type="log" if self.log else "linear",
        )
        panel.title.text = PlainText(text=title)  # a plain string may be read as mathematics
        panel.axis.axis_label_text_font_style = "normal"
        panel.xaxis.formatter = BasicTickFormatter(use_scientific=False)
        panel.xgrid.visible = False
        if self.log and math.log10(self.y_range[1] / self.y_range[0]) < SHORT:
            panel.yaxis.ticker = FixedTicker(ticks=_ticks(*self.y_range))
            panel.yaxis.formatter = BasicTickFormatter()
        reacting = []
        for line in self.lines:
            if line.name not in sources:
                continue
            at = {"x": self.x, "y": self.y, "source": sources[line.name]}
            # A line reacts to a pointer within half its width only, so a wide transparent one does that.
            reacting.append(panel.line(**at, name=line.name, line_width=TOLERANCE, line_alpha=0))
            self._drawn[line.name] += [_line(panel, line, **at), reacting[-1]]
            if dots:
                self._drawn[line.name].append(panel.scatter(**at, size=5, color=line.colour))
        tooltips = [("", "$name"), (self.x_label, f"@{self.x}"), (self.y_label, f"@{self.y}{{%.4g}}")]
        panel.add_tools(
            HoverTool(tooltips=tooltips, renderers=reacting, line_policy="nearest", formatters={f"@{self.y}": "printf"})
        )
        self.rows[-1].append(panel)
        return panel

    def start_row(self) -> None:
        """Let the next panel begin a row of its own."""
        self.rows.append([])

    def layout(self, *above: UIElement) -> UIElement:
        """The legend and all panels, below these widgets."""
        legend = [self._legend()] if len(self.lines) > 1 else []
        for each in self.rows:
            for panel in each:
                panel.max_width = WIDEST if len(each) > 1 else None  # the last one is as wide as those above it
        rows = [row(each, sizing_mode="stretch_width", styles={"flex-wrap": "wrap"}) for each in self.rows if each]
        return column([*above, *legend, *rows], sizing_mode="stretch_width")

    def _legend(self) -> UIElement:
        """The legend in small figures of its own, as many next to each other as fit."""
        each = math.ceil(len(self.lines) / ACROSS)
        width = min(NARROWEST, 50 + LETTER * max(len(line.name) for line in self.lines))
        parts = [self._part(self.lines[start : start + each], width) for start in range(0, len(self.lines), each)]
        return row(parts, sizing_mode="stretch_width", styles={"flex-wrap": "wrap"})

    def _part(self, lines: Sequence[Line], width: int) -> Any:
        options = {"x_range": (0, 1), "y_range": (0, 1), "outline_line_color": None, "min_border": 0}
        part = _figure(width=width, height=ROW * len(lines), sizing_mode="fixed", **options)
        part.axis.visible = False
        part.grid.visible = False
        items = []
        for line in lines:
            shown = _line(part, line, x="x", y="y", source=self.key)
            for other in self._drawn[line.name]:
                shown.js_link("visible", other, "visible")
            items.append(LegendItem(label=line.name, renderers=[shown]))
        place: dict[str, Any] = {"location": "top_left", "margin": 0, "spacing": 8, "border_line_color": None}
        part.add_layout(Legend(items=items, click_policy="hide", **place))
        return part


def _figure(**options: Any) -> Any:
    return figure(**{"sizing_mode": "stretch_width", "tools": "", "toolbar_location": None, **options})


def _line(panel: Any, line: Line, **at: Any) -> Any:
    return panel.line(**at, color=line.colour, line_dash=line.dash or "solid", line_width=2)


def _ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times the powers of ten, from low to high."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [float(f"{base}e{power}") for power in powers for base in (1, 2, 5)]
    return [tick for tick in ticks if low <= tick <= high]
