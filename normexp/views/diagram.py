"""The block of a variant as a diagram, drawn from the equations that its own code gives when it runs on symbols."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch
from torch import nn

from normexp.config.schema import Config
from normexp.data.corpus import load_corpus
from normexp.errors import ConfigError
from normexp.model.build import build
from normexp.norms import Norm
from normexp.probes.graph import BRANCHES, Part, graph
from normexp.views import style
from normexp.views.expression import Chain, Step, step_of

KINDS = (".svg", ".pdf", ".png")
Point = tuple[float, float]
WIDTH, HEIGHT, GAP, RADIUS = 1.7, 0.42, 0.3, 0.15  # of a box, between boxes, of a sum; in inches at scale 1
COLUMN, LANE, BETWEEN = 2.1, 1.25, 0.38  # between branches; from the middle to the first skip; between skips
AFTER, MEMORY = 0.26, 1.05  # above a sub-layer, where the stream has its name; the word memory and its arrow
SCALE = 0.72
NAMES = {letter: kind.replace("_", "-").capitalize() for kind, letter in BRANCHES.items()}
# Those of the figure of Vaswani et al. 2017: attention orange, feed-forward blue, norms yellow.
COLOURS = {"A": "#FBD9B9", "C": "#FBE7C6", "FFN": "#C6E0F0", "scale": "#FFFFFF"}
NORM, OTHER = "#F4F3C3", "#ECECEC"
LINE: dict[str, Any] = {"color": "0.15", "lw": 1.0, "solid_capstyle": "butt", "zorder": 2}


def diagram(model: nn.Module, norms: Sequence[str] = ("LN", "RMS")) -> Figure:
    """One panel for every kind of layer of every stack: equal layers once, with their number.

    norms: the symbols that are drawn as norms. What is no sum of chains of functions is a box with its equation.
    """
    panels, closing = [], {}
    for part in graph(model):
        if part.where.startswith("layer"):
            panels.append(part)
        elif part.where == "closes":
            closing[part.stack] = part
    drawn = []
    for part in panels:
        same = [other for other in panels if other.stack == part.stack]
        drawn.append(_Panel(part, closing.get(part.stack) if part is same[-1] else None, norms, same))
    figure = Figure()
    width = sum(panel.right - panel.left for panel in drawn) * SCALE
    height = max(panel.top - panel.bottom for panel in drawn) * SCALE
    figure.set_size_inches(width, height)
    left = 0.0
    for panel in drawn:
        share = (panel.right - panel.left) * SCALE / width
        axis = figure.add_axes((left, 0, share, 1))
        left += share
        panel.draw(axis)
        axis.set(xlim=(panel.left, panel.right), ylim=(panel.bottom, panel.bottom + height / SCALE))
        axis.set_axis_off()
    return figure


def write_diagram(config: Config, path: Path) -> Path:
    """Draw the model that a config describes to a file; returns its path.

    Raises ConfigError for another kind of file than KINDS, and if it cannot be written.
    """
    if path.suffix not in KINDS:
        raise ConfigError(f"--diagram must be a file that ends in {', '.join(KINDS)}; got {path}")
    model = build(config, load_corpus(config.data))
    metadata = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(path.suffix)
    with style.context():
        figure = diagram(model, tuple({module.symbol for module in model.modules() if isinstance(module, Norm)}))
        try:
            figure.savefig(path, dpi=200, metadata=metadata)
        except OSError as error:
            raise ConfigError(f"--diagram must be a file that can be written; got {path} ({error.strerror})") from error
    return path


def _label(name: str) -> str:
    """h₁ as mathematics."""
    plain = name.translate(str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789"))
    letter, number = re.fullmatch(r"(\D*)(\d*)", plain).groups()  # type: ignore[union-attr]
    return f"${letter}_{{{number}}}$" if number else f"${letter}$"


class _Panel:
    """One block: laid out from bottom to top when it is made, drawn when there is an axis."""

    def __init__(self, part: Part, closing: Part | None, norms: Sequence[str], several: Sequence[Part]) -> None:
        self.norms = norms
        self.shapes: list[tuple[str, tuple[object, ...]]] = []
        self.points: dict[str, Point] = {"x": (0.0, 0.0)}
        self.left, self.right, self.bottom = -WIDTH / 2 - 0.3, WIDTH / 2 + 0.3, -0.75
        self._arrow((0, -0.45), (0, 0), head=False)
        self._text((0, -0.6), "$x$")
        y, current = 0.0, "x"
        equations = [line for line in part.lines if not line.startswith("inside ")]
        for line in equations:
            step = step_of(line, set(self.points))
            if step is not None and self._drawable(step, current):
                y = self._step(step, current, y)
                current = step.name.strip()
            else:
                y = self._equation(line, y)
                current = re.split(r" [=←] ", line)[0]
            if line is not equations[-1]:
                self._arrow((0, y), (0, y + AFTER), head=False)
                y += AFTER
                self._text((0.12, y - AFTER / 2), _label(current), align="left", dim=True)
            self.points[current] = (0.0, y)
        self.block = y + 0.15
        y += 0.35
        self._arrow((0, self.points[current][1]), (0, y), head=False)
        last = step_of(closing.lines[0], {"x"}) if closing else None
        boxes = last.chains[0].boxes if last and len(last.chains) == 1 and not last.after else ()
        y = self._boxes(boxes, 0.0, y) if boxes else y
        if closing and last is None:
            y = self._equation(closing.lines[0], y)
        self._arrow((0, y), (0, y + 0.3))
        self.count = re.search(r"layers? (\d+)(?:–(\d+))?", part.where)
        self.title, self.top = part.stack.capitalize(), y + 0.75
        if len(several) > 1:
            self.title += f", {part.where}"
        self.right += 0.55  # × 6

    def _drawable(self, step: Step, current: str) -> bool:
        """Whether everything that is not a skip starts where the diagram has arrived."""
        return all(chain.source == current for chain in step.chains if not chain.is_skip)

    def _step(self, step: Step, current: str, y: float) -> float:
        branches = [chain for chain in step.chains if not chain.is_skip]
        skips = [chain for chain in step.chains if chain.is_skip]
        shared = _shared([chain.boxes for chain in branches])
        start = y
        y = self._boxes(shared, 0.0, y) if shared else y
        ends, x = [], 0.0
        for column, chain in enumerate(branches):
            if column:
                self._path([(0, y + GAP / 2), (x, y + GAP / 2)])
            ends.append((x, self._boxes(chain.boxes[len(shared) :], x, y, from_side=column > 0)))
            x += COLUMN + (MEMORY if any(kind == "memory" for kind, _ in chain.boxes) else 0)
        top = max([end for _, end in ends] or [y]) + GAP + RADIUS
        if len(step.chains) == 1:
            top -= GAP + RADIUS
        else:
            self._sum((0, top))
            for column, (x, end) in enumerate(ends):
                if column:
                    self._path([(x, end), (x, top), (RADIUS, top)], head=True)
                else:
                    self._arrow((0, end), (0, top - RADIUS))
            for lane, chain in enumerate(sorted(skips, key=lambda each: -self.points[each.source][1])):
                self._skip(chain, lane, top, start)
            top += RADIUS
        return self._boxes(step.after, 0.0, top) if step.after else top

    def _skip(self, chain: Chain, lane: int, top: float, start: float) -> None:
        wide = max([0.24 + 0.1 * len(text) for _, text in chain.boxes] or [0.0])
        x = -max(LANE, WIDTH / 2 + wide / 2 + 0.12) - BETWEEN * lane
        y = self.points[chain.source][1] + min(0.08, GAP / 3)
        self._path([(0, y), (x, y), (x, top), (-RADIUS, top)], head=True)
        for _, text in chain.boxes:
            self._box((x, (max(y, start) + top) / 2), text, "scale", width=wide)
        self.left = min(self.left, x - wide / 2 - 0.35)

    def _boxes(self, boxes: Sequence[tuple[str, str]], x: float, y: float, *, from_side: bool = False) -> float:
        """A column of boxes from y on, with arrows between them; returns where it ends."""
        for number, (kind, text) in enumerate(boxes):
            start = y + GAP / 2 if from_side and not number else y
            self._arrow((x, start), (x, y + GAP))
            y += GAP
            height = HEIGHT if kind != "scale" else 0.3
            width = WIDTH if kind != "scale" else 0.3 + 0.1 * len(text)
            self._box((x, y + height / 2), text, kind, width=width, height=height)
            if kind == "memory":
                self._arrow((x + WIDTH / 2 + 0.3, y + height / 2), (x + WIDTH / 2, y + height / 2))
                self._text((x + WIDTH / 2 + 0.35, y + height / 2), "memory", align="left")
                self.right = max(self.right, x + WIDTH / 2 + MEMORY + 0.2)
            y += height
            self.right = max(self.right, x + WIDTH / 2 + 0.3)
        return y

    def _equation(self, line: str, y: float) -> float:
        width = max(WIDTH, 0.3 + 0.092 * len(line))
        self._arrow((0, y), (0, y + GAP))
        self._box((0, y + GAP + HEIGHT / 2), line, "equation", width=width)
        self.left, self.right = min(self.left, -width / 2 - 0.3), max(self.right, width / 2 + 0.3)
        return y + GAP + HEIGHT

    # -- what is drawn -------------------------------------------------------------------------------------------------

    def _box(self, centre: Point, text: str, kind: str, width: float, height: float = HEIGHT) -> None:
        self.shapes.append(("box", (centre, text, kind, width, height if kind != "scale" else 0.3)))

    def _sum(self, centre: Point) -> None:
        self.shapes.append(("sum", (centre,)))

    def _text(self, at: Point, text: str, align: str = "center", dim: bool = False) -> None:
        self.shapes.append(("text", (at, text, align, dim)))

    def _arrow(self, start: Point, end: Point, head: bool = True) -> None:
        self._path([start, end], head=head)

    def _path(self, points: Sequence[Point], head: bool = False) -> None:
        self.shapes.append(("path", (tuple(points), head)))

    def draw(self, axis: Axes) -> None:
        """Put everything on an axis."""
        axis.set_aspect("equal")
        box = FancyBboxPatch(
            (self.left + 0.15, -0.15),
            self.right - self.left - 0.75,
            self.block + 0.15,
            boxstyle="round,pad=0,rounding_size=0.15",
            facecolor="0.965",
            edgecolor="0.7",
            lw=0.8,
            zorder=0,
        )
        axis.add_patch(box)
        if self.count and (last := self.count[2]):
            number = int(last) - int(self.count[1]) + 1
            axis.text(self.right - 0.5, self.block / 2, f"× {number}", va="center", fontsize=9)
        axis.text(0, self.top - 0.25, self.title, ha="center", va="center", fontsize=9, fontweight="bold")
        for kind, about in self.shapes:
            getattr(self, f"_draw_{kind}")(axis, *about)

    def _draw_box(self, axis: Axes, centre: Point, text: str, kind: str, width: float, height: float) -> None:
        colour = COLOURS.get("scale" if kind == "scale" else text, NORM if text in self.norms else OTHER)
        shape = "round,pad=0,rounding_size=0.08" if kind != "scale" else "round,pad=0,rounding_size=0.14"
        at = (centre[0] - width / 2, centre[1] - height / 2)
        axis.add_patch(
            FancyBboxPatch(at, width, height, boxstyle=shape, facecolor=colour, edgecolor="0.15", lw=0.9, zorder=3)
        )
        size = 7 if kind in ("scale", "equation") else 8
        axis.text(*centre, NAMES.get(text, text), ha="center", va="center_baseline", fontsize=size, zorder=4)

    def _draw_sum(self, axis: Axes, centre: Point) -> None:
        axis.add_patch(Circle(centre, RADIUS, facecolor="white", edgecolor="0.15", lw=0.9, zorder=3))
        for dx, dy in ((0.085, 0), (0, 0.085)):
            axis.plot(
                [centre[0] - dx, centre[0] + dx], [centre[1] - dy, centre[1] + dy], color="0.15", lw=0.9, zorder=4
            )

    def _draw_text(self, axis: Axes, at: Point, text: str, align: str, dim: bool) -> None:
        axis.text(*at, text, ha=align, va="center", fontsize=8, color="0.4" if dim else "0.1", zorder=4)

    def _draw_path(self, axis: Axes, points: Sequence[Point], head: bool) -> None:
        axis.plot([x for x, _ in points], [y for _, y in points], **LINE)
        if head:
            axis.annotate(
                "",
                xy=points[-1],
                xytext=points[-2],
                arrowprops={
                    "arrowstyle": "-|>",
                    "color": "0.15",
                    "lw": 0,
                    "shrinkA": 0,
                    "shrinkB": 0,
                    "mutation_scale": 8,
                },
                zorder=3,
            )


def _shared(columns: Sequence[Sequence[tuple[str, str]]]) -> list[tuple[str, str]]:
    """The boxes with which all of several branches start, which are drawn once."""
    if len(columns) < 2:
        return []
    found = []
    for boxes in zip(*columns, strict=False):
        if len(set(boxes)) > 1:
            break
        found.append(boxes[0])
    return found
