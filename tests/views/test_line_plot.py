"""What line_plot draws, read back from its lines and bands."""

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from scipy import stats

from normexp.views.line_plot import line_plot
from normexp.views.palette import VARIANTS

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
    """Points of the means, in the order of the colours."""
    return [line.get_xydata() for line in axis.lines if line.get_label() == "_mean"]


def seed_lines(axis: Axes) -> list[ArrayLike]:
    """Points of the thin lines of the seeds."""
    return [line.get_xydata() for line in axis.lines if line.get_label() == "_seed"]


def caption(figure: Figure) -> str:
    return " ".join(text.get_text() for text in figure.texts if text.get_fontsize() == 6.5)


def crosses(axis: Axes) -> list[tuple[float, str]]:
    """Place and colour of every cross, all of them at the top edge."""
    found = [line for line in axis.lines if line.get_marker() == "x"]
    for line in found:
        assert line.get_transform() == axis.get_xaxis_transform()
        assert list(line.get_ydata()) == [0.98]
    return [(float(line.get_xdata()[0]), str(line.get_color())) for line in found]


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.slow
def test_columns_have_titles_and_rows_have_labels() -> None:
    figure = line_plot(rows(), "layer", column="depth", row="stack", x_label="layer l", **FRAME)
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["depth 6", "depth 12", "", ""]
    assert [axis.get_ylabel() for axis in figure.axes] == ["encoder\nnorm", "", "decoder\nnorm", ""]
    assert [axis.get_xlabel() for axis in figure.axes] == ["", "", "layer l", "layer l"]
    assert [text.get_text() for text in figure.texts][:2] == ["Title", "settings"]
    assert caption(figure) == "caption Thin lines: seeds. Thick lines: mean over the seeds."


def test_a_single_column_has_no_title() -> None:
    assert panel(column="depth").get_title(loc="left") == ""
    assert panel(column="depth").get_ylabel() == "norm"


def test_lines_are_means_over_the_seeds() -> None:
    post, pre = lines(panel())
    layers = np.arange(1, 5)
    np.testing.assert_allclose(post, np.c_[layers, 5.5 * layers])
    np.testing.assert_allclose(pre, np.c_[layers, 5.5 * layers**2])


@pytest.mark.slow
def test_on_a_logarithmic_axis_they_are_geometric() -> None:
    axis = panel(log="y")
    np.testing.assert_allclose(lines(axis)[0], np.c_[np.arange(1, 5), np.sqrt(10) * np.arange(1, 5)])
    assert (axis.get_xscale(), axis.get_yscale()) == ("linear", "log")
    assert (panel(log="xy").get_xscale(), panel().get_yscale()) == ("log", "linear")


def test_up_to_five_seeds_are_thin_lines() -> None:
    axis = panel()
    assert len(axis.collections) == 0
    layers = np.arange(1, 5)
    post_0, post_1, _, pre_1 = seed_lines(axis)
    np.testing.assert_allclose(post_0, np.c_[layers, layers])
    np.testing.assert_allclose(post_1, np.c_[layers, 10 * layers])
    np.testing.assert_allclose(pre_1, np.c_[layers, 10 * layers**2])
    assert seed_lines(panel(some=rows(stack=["decoder"], depth=[6], seed=[1]))) == []


@pytest.mark.slow
@pytest.mark.parametrize("log", ["", "y"])
def test_from_six_seeds_on_bands_are_t_intervals(log: str) -> None:
    """Against scipy's own interval of a mean; on a logarithmic axis that of the logarithms."""
    some = rows(stack=["decoder"], depth=[6], seed=list(range(6)))
    figure = line_plot(some, "layer", log=log, **FRAME)
    (axis,) = figure.axes
    assert seed_lines(axis) == []
    assert "Bands: 95 % t-interval of the mean." in caption(figure)
    for band, power in zip(axis.collections, (1, 2), strict=True):
        corners = np.asarray(band.get_paths()[0].vertices)
        for layer in range(1, 5):
            values = layer**power * 10.0 ** np.arange(6)
            values = np.log(values) if log else values
            low, high = stats.t.interval(0.95, 5, values.mean(), stats.sem(values))
            low, high = (np.exp(low), np.exp(high)) if log else (low, high)
            at = corners[corners[:, 0] == layer, 1]
            assert (at.min(), at.max()) == pytest.approx((low, high))


def test_there_is_no_mean_over_the_survivors() -> None:
    some = rows(stack=["decoder"], depth=[6])
    post = some["variant"] == "post_ln"
    some.loc[post & (some["layer"] == 3), "value"] = np.inf
    some.loc[post & (some["layer"] == 4) & (some["seed"] == 1), "value"] = np.nan
    figure = line_plot(some, "layer", **FRAME)
    (axis,) = figure.axes
    line = next(line for line in axis.lines if line.get_label() == "_mean")
    assert crosses(axis) == [(3, line.get_color()), (4, line.get_color())]
    np.testing.assert_equal(np.asarray(line.get_ydata()), [5.5, 11, np.nan, np.nan])
    np.testing.assert_equal(np.asarray(seed_lines(axis)[0])[:, 1], [1, 2, np.nan, 4])  # the survivor is drawn
    assert "No mean where a seed diverged or is off the axis. Crosses: not finite." in caption(figure)
    assert crosses(panel()) == []


def test_with_many_seeds_too_survivors_are_drawn_alone() -> None:
    some = rows(stack=["decoder"], depth=[6], seed=list(range(7)), variant=["post_ln"])
    some.loc[(some["layer"] == 2) & (some["seed"] == 6), "value"] = np.nan
    axis = panel(some=some)
    assert len(seed_lines(axis)) == 7
    assert np.isnan(np.asarray(lines(axis)[0])[:, 1]).tolist() == [False, True, False, False]


def test_a_seed_that_was_not_run_somewhere_did_not_drop_out() -> None:
    some = rows(stack=["decoder"], depth=[6], variant=["post_ln"])
    some = some[(some["seed"] == 0) | (some["layer"] != 2)]
    figure = line_plot(some, "layer", **FRAME)
    assert np.asarray(lines(figure.axes[0])[0])[:, 1].tolist() == [5.5, 2, 16.5, 22]
    assert "No mean" not in caption(figure)


@pytest.mark.slow
def test_a_logarithmic_axis_marks_zeros_at_its_bottom() -> None:
    some = rows(stack=["decoder"], depth=[6])
    some.loc[(some["layer"] == 2) & (some["variant"] == "post_ln") & (some["seed"] == 0), "value"] = 0.0
    figure = line_plot(some, "layer", log="y", **FRAME)
    (axis,) = figure.axes
    post, pre = lines(axis)
    assert np.isnan(np.asarray(post)[:, 1]).tolist() == [False, True, False, False]
    assert not np.isnan(np.asarray(pre)).any()
    (mark,) = (line for line in axis.lines if line.get_label() == "_below")
    assert (list(mark.get_xdata()), list(mark.get_ydata())) == ([2], [0.02])
    assert "Open triangles: 0 or below." in caption(figure)
    assert crosses(axis) == []
    assert np.asarray(lines(panel(some=some))[0])[1].tolist() == [2, 10]


def test_nothing_finite_leaves_crosses_alone() -> None:
    axis = panel(some=rows(stack=["decoder"], depth=[6]).assign(value=np.nan), log="xy")
    assert [place for place, _ in crosses(axis)] == [1, 2, 3, 4] * 2
    assert all(np.isnan(np.asarray(line)[:, 1]).all() for line in lines(axis))


def edge_labels(axis: Axes) -> list[str]:
    """The names at the right edge, from the bottom up."""
    return [text.get_text() for text in sorted(axis.texts, key=lambda text: text.xyann[1])]  # type: ignore[attr-defined]


def test_theory_is_grey_in_every_panel_and_named_at_its_end() -> None:
    theory = {"l²": lambda layer: layer**2, "l": lambda layer: layer}
    figure = line_plot(rows(), "layer", column="depth", lines=theory, **FRAME)
    for axis in figure.axes:
        square, straight = (line for line in axis.lines if line.get_label() == "_theory")
        assert list(square.get_ydata()) == [1, 4, 9, 16]
        assert list(straight.get_ydata()) == [1, 2, 3, 4]
        assert square.get_linestyle() == straight.get_linestyle() == "--"  # dashed, in different lengths
        assert square._dash_pattern != straight._dash_pattern
    assert [edge_labels(axis) for axis in figure.axes] == [[], ["l", "l²"]]
    assert legend(figure) == ["post_ln", "pre_ln"]


def test_theory_that_ends_early_is_named_before_its_end() -> None:
    axis = panel(lines={"half": lambda layer: np.where(layer <= 2, layer, np.nan)})
    (text,) = axis.texts
    assert (text.get_text(), text.xy) == ("half", (1, 1))  # type: ignore[attr-defined]


def test_levels_are_named_with_their_loss() -> None:
    axis = panel(levels=[("unigram", 100.0), ("bar", 50.0)])
    assert [line.get_ydata()[0] for line in axis.lines if line.get_label() == "_level"] == [100, 50]
    assert edge_labels(axis) == ["bar 50.00", "unigram 100.00"]


def test_what_is_below_the_floor_is_drawn_at_it() -> None:
    some = rows(stack=["decoder"], depth=[6], variant=["post_ln"])  # 1 to 4 and 10 to 40
    figure = line_plot(some.assign(value=some["value"] ** -8.0), "layer", log="y", floor=(1e-9, "rounding"), **FRAME)
    (axis,) = figure.axes
    one, ten = (np.asarray(line)[:, 1] for line in seed_lines(axis))
    np.testing.assert_allclose(one, np.arange(1.0, 5) ** -8)
    np.testing.assert_allclose(ten, [1e-8] + [1e-9] * 3, rtol=1e-6)  # 20⁻⁸ is less
    assert "Open triangles" not in caption(figure)  # no layer at which every seed is below
    figure = line_plot(some.assign(value=10.0 ** -(8 * some["layer"])), "layer", log="y", floor=(1e-9, "ε"), **FRAME)
    (mark,) = (line for line in figure.axes[0].lines if line.get_label() == "_below")
    assert (list(mark.get_xdata()), list(mark.get_ydata())) == ([2, 3, 4], [1e-9] * 3)
    assert "Open triangles: at or below ε." in caption(figure)
    assert edge_labels(figure.axes[0]) == ["ε"]


def test_a_curve_that_another_covers_is_wider() -> None:
    same = rows(stack=["decoder"], depth=[6], variant=["post_ln", "pre_ln", "b2t"], seed=[0])
    same.loc[same["variant"] == "pre_ln", "value"] = same.loc[same["variant"] == "b2t", "value"].to_numpy()
    same.loc[same["variant"] == "post_ln", "value"] *= 3
    figure = line_plot(same, "layer", **FRAME)
    apart, under, over = (line.get_linewidth() for line in figure.axes[0].lines if line.get_label() == "_mean")
    assert under > over == apart
    assert "Wide lines: covered by another." in caption(figure)
    assert "Wide lines" not in caption(line_plot(rows(), "layer", **FRAME))


def test_without_a_mean_the_seeds_are_drawn_alone() -> None:
    figure = line_plot(rows(stack=["decoder"], depth=[6]), "layer", mean=False, **FRAME)
    assert lines(figure.axes[0]) == []
    assert len(seed_lines(figure.axes[0])) == 4
    assert caption(figure) == "caption Thin lines: seeds."


@pytest.mark.parametrize("seeds", [2, 6])
def test_categories_are_points_with_no_line_between(seeds: int) -> None:
    some = rows(stack=["decoder"], depth=[6], variant=["post_ln"], seed=list(range(seeds)))
    figure = line_plot(some, "layer", joined=False, zero=True, **FRAME)
    (axis,) = figure.axes
    assert {line.get_linestyle() for line in axis.lines} == {"None"}
    assert axis.get_ylim()[0] == 0
    assert ("Bars: 95 % t-interval" in caption(figure)) == (seeds == 6)
    assert len(axis.collections) == (seeds == 6)


def test_equal_points_of_two_colours_do_not_cover_each_other() -> None:
    some = rows(stack=["decoder"], depth=[6], seed=[0])
    post, pre = lines(panel(some=some.assign(value=1.0), joined=False))
    np.testing.assert_allclose(np.asarray(pre) - np.asarray(post), [[0.12, 0]] * 4)


def test_an_axis_that_names_the_variants_needs_no_legend() -> None:
    some = rows(stack=["decoder"], depth=[6], layer=[1])
    some["layer"] = some["variant"].map({"post_ln": 1, "pre_ln": 2})
    assert line_plot(some, "layer", names={1: "post_ln", 2: "pre_ln"}, **FRAME).legends[0].get_texts() == []


@pytest.mark.slow
def test_more_lines_than_colours_are_named_at_their_ends() -> None:
    names = list(VARIANTS[:12])
    some = rows(stack=["decoder"], depth=[12, 6], variant=names, seed=[0])
    some["value"] *= some["variant"].map(names.index) + 1
    figure = line_plot(some, "layer", column="depth", log="y", **FRAME)
    assert legend(figure) == []
    for axis in figure.axes:
        assert edge_labels(axis)[-1] == names[-1]
        assert sorted(edge_labels(axis)) == sorted(names)
    assert panel().texts[:] == []


def test_the_legend_names_the_colours() -> None:
    figure = line_plot(rows(), "layer", colour="stack", **FRAME)
    assert legend(figure) == ["encoder", "decoder"]
    drawn = [line.get_color() for line in figure.axes[0].lines if line.get_label() == "_mean"]
    assert [line.get_color() for line in figure.legends[0].get_lines()] == drawn
    assert len(set(drawn)) == 2


def test_markers_are_for_few_points_in_the_legend_too() -> None:
    for points, marker in ((24, "o"), (25, "")):
        some = rows(stack=["decoder"], depth=[6], layer=list(range(1, points + 1)))
        figure = line_plot(some, "layer", **FRAME)
        drawn = [line for line in figure.axes[0].lines if line.get_label() == "_mean"]
        assert {line.get_marker() for line in [*drawn, *figure.legends[0].get_lines()]} == {marker}


@pytest.mark.parametrize("shared", [True, False])
def test_panels_share_their_axis_or_not(shared: bool) -> None:
    some = rows()
    some.loc[some["depth"] == 12, "value"] *= 100
    six, twelve = line_plot(some, "layer", column="depth", shared=shared, **FRAME).axes
    assert (six.get_ylim() == twelve.get_ylim()) == shared


@pytest.mark.slow
def test_ticks_are_at_measured_places() -> None:
    some = rows(stack=["decoder"], depth=[6], layer=[6, 8, 14])
    for log in ("", "x"):
        axis = panel(some=some, log=log)
        assert list(axis.get_xticks()) == [6, 8, 14]
        assert list(axis.get_xticks(minor=True)) == []
        axis.figure.draw_without_rendering()
        assert [label.get_text() for label in axis.get_xticklabels()] == ["6", "8", "14"]


@pytest.mark.parametrize(
    ("places", "labels"),
    [
        (range(1, 19), ["1", "3", "6", "9", "12", "15", "18"]),
        (range(1, 17), ["1", "3", "6", "9", "12", "16"]),
        (range(10, 401, 10), ["10", "100", "200", "300", "400"]),
    ],
)
def test_many_places_have_round_ticks_and_the_last(places: range, labels: list[str]) -> None:
    axis = panel(some=rows(stack=["decoder"], depth=[6], layer=list(places)))
    axis.figure.draw_without_rendering()
    assert [label.get_text() for label in axis.get_xticklabels()] == labels


def test_learning_rates_are_labelled_on_a_logarithmic_axis() -> None:
    axis = panel(some=rows(stack=["decoder"], depth=[6], layer=[3e-4, 1e-3, 3e-3]), log="x")
    axis.figure.draw_without_rendering()
    assert [label.get_text() for label in axis.get_xticklabels()] == ["3e-4", "1e-3", "3e-3"]


def test_places_may_have_names() -> None:
    axis = panel(names={1: "first", 4: "last"})
    assert list(axis.get_xticks()) == [1, 4]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["first", "last"]
