"""Texts at the right edge of a panel that name its lines, moved apart where they are closer than a line of text."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation


class EdgeLabel(NamedTuple):
    """A text at a height of the axis, in data units."""

    text: str
    at: float
    colour: str = "0.35"


def label_edges(figure: Figure, labels: Sequence[tuple[Axes, Sequence[EdgeLabel]]], size: float = 6.5) -> None:
    """Write the labels of each panel to its right. Call it when the figure has its layout and the axes their limits.

    Labels outside the axis are left out.
    """
    placed: list[tuple[Axes, list[Annotation], list[float]]] = []
    for axis, some in labels:
        finite = [label for label in some if math.isfinite(label.at) and (label.at > 0 or axis.get_yscale() != "log")]
        heights = sorted(((_share(axis, label.at), label) for label in finite), key=lambda pair: pair[0])
        shown = [(height, label) for height, label in heights if -0.01 <= height <= 1.01]
        texts = [
            axis.annotate(
                label.text,
                (1.0, height),
                (1.03, height),
                xycoords="axes fraction",
                fontsize=size,
                color=label.colour,
                va="center",
                ha="left",
                arrowprops={
                    "arrowstyle": "-",
                    "color": "0.7",
                    "lw": 0.4,
                    "shrinkA": 1,
                    "shrinkB": 0,
                    "relpos": (0, 0.5),
                },
                annotation_clip=False,
            )
            for height, label in shown
        ]
        placed.append((axis, texts, [height for height, _ in shown]))
    figure.draw_without_rendering()  # the height of the panels is known only after the layout
    for axis, texts, places in placed:
        gap = 1.3 * size / 72 / (axis.get_position().height * figure.get_size_inches()[1])
        for text, place in zip(texts, within(spread(places, gap), gap), strict=True):
            text.set_y(place)


def _share(axis: Axes, value: float) -> float:
    """A height in data units as a share of the axis: 0 at its bottom, 1 at its top."""
    display = axis.transData.transform((axis.get_xlim()[0], value))
    return float(axis.transAxes.inverted().transform(display)[1])


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Move ascending positions apart until neighbours differ by the gap; every group keeps its centre."""
    groups: list[list[float]] = []
    for place in places:
        groups.append([place])
        while len(groups) > 1 and _low(groups[-1], gap) - _high(groups[-2], gap) < gap - 1e-12:
            groups[-2:] = [groups[-2] + groups[-1]]
    return [_low(group, gap) + index * gap for group in groups for index in range(len(group))]


def within(places: Sequence[float], gap: float) -> list[float]:
    """Move positions that are a gap or more apart to between 0 and 1, as far as they fit there."""
    last = len(places) - 1
    lowered = [min(place, 1 - gap * (last - index)) for index, place in enumerate(places)]
    return [max(place, gap * index) for index, place in enumerate(lowered)]


def _low(group: Sequence[float], gap: float) -> float:
    return sum(group) / len(group) - gap * (len(group) - 1) / 2


def _high(group: Sequence[float], gap: float) -> float:
    return _low(group, gap) + gap * (len(group) - 1)
