"""What xy draws, read back from its lines and bands."""

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from normexp.views.line_plot import line_plot

FRAME = {"title": "Title", "settings": "settings", "caption": "caption", "label": "norm"}


def value(variant: str, layer: int, seed: int) -> float:
    return layer ** (2.0 if variant == "pre_ln" else 1.0) * 10.0**seed


def rows(**more: Any) -> pd.DataFrame:
    """Layers 1 to 4 of two variants, stacks, depths and seeds; more: other values for a key."""
    keys = {"variant": ["post_ln", "pre_ln"], "stack": ["encoder", "decoder"], "depth": [12, 6], "seed": [0, 1]}
    keys |= {"layer": [1, 2, 3, 4]} | more
    frame = pd.DataFrame([dict(zip(keys, values, strict=True)) for values in itertools.product(*keys.values())])
    return frame.assign(value=list(map(value, frame["variant"], frame["layer"], frame["seed"])))


def panel(**options: Any) -> Axes:
    """The only panel of a figure of one stack and depth."""
    some = options.pop("some", rows(stack=["decoder"], depth=[6]))
    (axis,) = line_plot(some, "layer", **FRAME, **options).axes
    return axis


def lines(axis: Axes) -> list[ArrayLike]:
    """Points of the lines through measured means, in the order of the colours."""
    return [line.get_xydata() for line in axis.lines if line.get_marker() != "x" and line.get_color() != "0.45"]


def crosses(axis: Axes) -> list[tuple[float, str]]:
    """Place and colour of every cross, all of them at the top edge."""
    found = [line for line in axis.lines if line.get_marker() == "x"]
    for line in found:
        assert line.get_transform() == axis.get_xaxis_transform()
        assert list(line.get_ydata()) == [0.98]
    return [(float(line.get_xdata()[0]), str(line.get_color())) for line in found]


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_columns_have_titles_and_rows_have_labels() -> None:
    figure = line_plot(rows(), "layer", column="depth", row="stack", x_label="layer l", **FRAME)
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["depth 6", "depth 12", "", ""]
    assert [axis.get_ylabel() for axis in figure.axes] == ["encoder\nnorm", "", "decoder\nnorm", ""]
    assert [axis.get_xlabel() for axis in figure.axes] == ["", "", "layer l", "layer l"]
    assert [text.get_text() for text in figure.texts] == ["Title", "settings", "caption"]


def test_a_single_column_has_no_title() -> None:
    assert panel(column="depth").get_title(loc="left") == ""
    assert panel(column="depth").get_ylabel() == "norm"


def test_lines_are_means_over_the_seeds() -> None:
    post, pre = lines(panel())
    layers = np.arange(1, 5)
    np.testing.assert_allclose(post, np.c_[layers, 5.5 * layers])
    np.testing.assert_allclose(pre, np.c_[layers, 5.5 * layers**2])


def test_on_a_logarithmic_axis_they_are_geometric() -> None:
    axis = panel(log="y")
    np.testing.assert_allclose(lines(axis)[0], np.c_[np.arange(1, 5), np.sqrt(10) * np.arange(1, 5)])
    assert (axis.get_xscale(), axis.get_yscale()) == ("linear", "log")
    assert (panel(log="xy").get_xscale(), panel().get_yscale()) == ("log", "linear")


def test_bands_reach_from_the_smallest_to_the_largest_seed() -> None:
    axis = panel()
    assert len(axis.collections) == 2
    for band, power in zip(axis.collections, (1, 2), strict=True):
        corners = band.get_paths()[0].vertices
        for layer in range(1, 5):
            at = corners[corners[:, 0] == layer, 1]
            assert (at.min(), at.max()) == (layer**power, 10 * layer**power)
    assert not panel(some=rows(stack=["decoder"], depth=[6], seed=[1])).collections


def test_what_is_not_finite_is_a_cross_and_no_part_of_the_line() -> None:
    some = rows(stack=["decoder"], depth=[6])
    post = some["variant"] == "post_ln"
    some.loc[post & (some["layer"] == 3), "value"] = np.inf
    some.loc[post & (some["layer"] == 4) & (some["seed"] == 1), "value"] = np.nan
    axis = panel(some=some)
    line = next(line for line in axis.lines if line.get_marker() != "x")
    assert crosses(axis) == [(3, line.get_color()), (4, line.get_color())]
    assert list(line.get_xdata()) == [1, 2, 4]
    assert list(line.get_ydata()) == [5.5, 11, 4]  # the seed that is left
    assert crosses(panel()) == []


def test_a_logarithmic_axis_leaves_zeros_out() -> None:
    some = rows(stack=["decoder"], depth=[6])
    some.loc[(some["layer"] == 2) & (some["variant"] == "post_ln"), "value"] = 0.0
    post, pre = lines(panel(some=some, log="y"))
    assert (list(np.asarray(post)[:, 0]), len(pre)) == ([1, 3, 4], 4)
    assert crosses(panel(some=some, log="y")) == []
    assert lines(panel(some=some))[0][1].tolist() == [2, 0]


def test_nothing_finite_leaves_crosses_alone() -> None:
    axis = panel(some=rows(stack=["decoder"], depth=[6]).assign(value=np.nan), log="xy")
    assert [place for place, _ in crosses(axis)] == [1, 2, 3, 4] * 2
    assert all(len(np.asarray(line)) == 0 for line in lines(axis))


def test_theory_is_grey_in_every_panel_and_named() -> None:
    figure = line_plot(
        rows(), "layer", column="depth", lines={"l²": lambda layer: layer**2, "": lambda layer: layer}, **FRAME
    )
    for axis in figure.axes:
        square, straight = (line for line in axis.lines if line.get_color() == "0.45")
        assert list(square.get_ydata()) == [1, 4, 9, 16]
        assert list(straight.get_ydata()) == [1, 2, 3, 4]
    assert legend(figure) == ["post_ln", "pre_ln", "l²", ""]


def test_the_legend_names_the_colours() -> None:
    figure = line_plot(rows(), "layer", colour="stack", **FRAME)
    assert legend(figure) == ["encoder", "decoder"]
    drawn = [line.get_color() for line in figure.axes[0].lines]
    assert [line.get_color() for line in figure.legends[0].get_lines()] == drawn
    assert len(set(drawn)) == 2


def test_markers_stand_where_places_are_few() -> None:
    few, many = (panel(some=rows(stack=["decoder"], depth=[6], layer=list(range(1, n + 1)))) for n in (24, 25))
    assert {line.get_marker() for line in few.lines} == {"o"}
    assert {line.get_marker() for line in many.lines} == {""}


@pytest.mark.parametrize("shared", [True, False])
def test_panels_share_their_axis_or_not(shared: bool) -> None:
    some = rows()
    some.loc[some["depth"] == 12, "value"] *= 100
    six, twelve = line_plot(some, "layer", column="depth", shared=shared, **FRAME).axes
    assert (six.get_ylim() == twelve.get_ylim()) == shared


def test_ticks_stand_at_measured_places() -> None:
    some = rows(stack=["decoder"], depth=[6], layer=[6, 8, 14])
    for log in ("", "x"):
        axis = panel(some=some, log=log)
        assert list(axis.get_xticks()) == [6, 8, 14]
        assert list(axis.get_xticks(minor=True)) == []
        axis.figure.draw_without_rendering()
        assert [label.get_text() for label in axis.get_xticklabels()] == ["6", "8", "14"]


def test_places_may_have_names() -> None:
    axis = panel(names={1: "first", 4: "last"})
    assert list(axis.get_xticks()) == [1, 4]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["first", "last"]
