"""What heat_map draws, read back from its images and texts."""

import io
import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from normexp.views.heat_map import heat_map

FRAME = {"title": "Title", "settings": "settings", "caption": "caption", "label": "nats"}


def rows(**more: Any) -> pd.DataFrame:
    """Losses over depth and lr of two variants and seeds: depth × lr, and 0.2 more with the second seed."""
    keys: dict[str, list] = {"variant": ["post_ln", "pre_ln"], "depth": [12, 6], "lr": [0.5, 0.1], "seed": [0, 1]}
    keys |= more
    frame = pd.DataFrame([dict(zip(keys, values, strict=True)) for values in itertools.product(*keys.values())])
    return frame.assign(value=frame["depth"] * frame["lr"] + 0.2 * frame["seed"], outcome="trained")


def drawn(some: pd.DataFrame, **options: Any) -> tuple[Figure, list[Axes]]:
    """The figure, after saving it without a warning, and its visible panels."""
    figure = heat_map(some, "depth", "lr", **FRAME, **options)
    figure.savefig(io.BytesIO(), dpi=20)
    return figure, [axis for axis in figure.axes if axis.images and axis.get_visible()]


def matrix(axis: Axes, image: int = 0) -> list[list[float | None]]:
    """The values of a panel from its top row down, None where it is transparent."""
    return np.ma.masked_invalid(axis.images[image].get_array()).tolist()


def fields(axis: Axes) -> dict[tuple[float, float], str]:
    return {text.get_position(): text.get_text() for text in axis.texts}


def test_fields_are_means_over_seeds_in_axis_order() -> None:
    _, (post, pre) = drawn(rows())
    np.testing.assert_allclose(matrix(post), [[0.7, 1.3], [3.1, 6.1]])  # lr 0.1 and 0.5 by depth 6 and 12
    assert matrix(pre) == matrix(post)
    assert [label.get_text() for label in post.get_xticklabels()] == ["6", "12"]
    assert [label.get_text() for label in post.get_yticklabels()] == ["0.1", "0.5"]


@pytest.mark.slow
def test_columns_have_titles_and_rows_have_labels() -> None:
    some = pd.concat([rows().assign(init="small"), rows().assign(init="gpt2")])
    _, panels = drawn(some, row="init", x_label="layers", y_label="rate")
    assert [axis.get_title(loc="left") for axis in panels] == ["post_ln", "pre_ln"] * 2
    assert [axis.get_ylabel() for axis in panels] == ["small init\nrate", "", "gpt2 init\nrate", ""]
    assert [axis.get_xlabel() for axis in panels][2:] == ["layers", "layers"]
    figure, panels = drawn(rows(), column="seed")
    assert [axis.get_title(loc="left") for axis in panels] == ["seed 0", "seed 1"]
    assert [axis.get_ylabel() for axis in panels] == ["lr", ""]
    assert [text.get_text() for text in figure.texts] == ["Title", "settings", "caption"]


def test_what_was_not_measured_stays_white() -> None:
    some = rows()
    some = some[(some["variant"] == "pre_ln") | (some["depth"] == 12) | (some["lr"] == 0.1)]
    _, (post, pre) = drawn(some, letters="outcome")
    assert matrix(post)[1][0] is None  # depth 6 at lr 0.5
    assert matrix(post, 1) == [[None, None], [None, None]]
    assert set(fields(post)) == {(0, 0), (1, 0), (1, 1)}
    assert len(fields(pre)) == 4


@pytest.mark.parametrize("letters", ["", "outcome"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_grey_with_a_cross(letters: str, bad: float) -> None:
    some = rows()
    gone = (some["variant"] == "post_ln") & (some["depth"] == 12) & (some["lr"] == 0.5)
    some.loc[gone, ["value", "outcome"]] = [bad, "diverged"]
    _, (post, pre) = drawn(some, letters=letters)
    assert matrix(post)[1][1] is None
    assert matrix(post, 1) == [[None, None], [None, 0.85]]
    assert post.images[1].to_rgba(0.85)[:3] == pytest.approx([0.85] * 3, abs=0.01)
    assert matrix(pre, 1) == [[None, None], [None, None]]
    if letters:
        assert fields(post)[1, 1] == "D\n✕"
    else:
        assert [line.get_xydata().tolist() for line in post.lines] == [[[1, 1]]]
        assert post.lines[0].get_marker() == "x"
        assert all(len(line.get_xdata()) == 0 for line in pre.lines)
    for axis in (post, pre):
        assert (axis.get_xlim(), axis.get_ylim()) == ((-0.5, 1.5), (1.5, -0.5))


def test_one_seed_that_is_not_finite_leaves_no_mean() -> None:
    some = rows()
    at = (some["variant"] == "post_ln") & (some["depth"] == 12) & (some["lr"] == 0.5)
    some.loc[at & (some["seed"] == 1), ["value", "outcome"]] = [np.nan, "diverged"]
    _, (post, _) = drawn(some, letters="outcome")
    assert matrix(post)[1][1] is None
    assert fields(post)[1, 1] == "TD\n✕"


@pytest.mark.slow
def test_letters_are_outcomes_one_per_seed_if_they_differ() -> None:
    some = rows().sort_values("seed", ascending=False)
    at = (some["depth"] == 6) & (some["lr"] == 0.1) & (some["variant"] == "post_ln")
    some.loc[at & (some["seed"] == 1), "outcome"] = "stuck"
    some.loc[at & (some["seed"] == 0), "outcome"] = "partial"
    _, (post, pre) = drawn(some, letters="outcome")
    assert fields(post)[0, 0] == "PS\n0.7"
    assert fields(pre) == {(0, 0): "T\n0.7", (1, 0): "T\n1.3", (0, 1): "T\n3.1", (1, 1): "T\n6.1"}
    assert not drawn(some)[1][0].texts


def test_letters_are_readable_on_their_colour() -> None:
    _, (post, _) = drawn(rows(), letters="outcome")
    colours = {text.get_position(): text.get_color() for text in post.texts}
    assert (colours[0, 0], colours[1, 1]) == ("black", "white")  # yellow is small, violet is large


@pytest.mark.slow
def test_all_panels_and_the_bar_have_one_scale() -> None:
    some = rows()
    some.loc[some["variant"] == "pre_ln", "value"] *= 10
    for log, low in ((False, 0.0), (True, 0.6)):
        figure, panels = drawn(some, log=log)
        norms = [axis.images[0].norm for axis in panels]
        assert all((norm.vmin, norm.vmax) == pytest.approx((low, 62)) for norm in norms)
        assert isinstance(norms[0], LogNorm) == log
        bar = figure.axes[-1]
        assert bar.get_ylabel() == "nats"
        assert bar.get_ylim() == pytest.approx((low, 62))


@pytest.mark.slow
@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("value", [0.0, 0.1, 5.0, np.nan])
def test_a_single_value_is_drawn(log: bool, value: float) -> None:
    _, (post, _) = drawn(rows().assign(value=value), log=log, letters="outcome")
    assert fields(post)[0, 0] == ("T\n✕" if np.isnan(value) else f"T\n{value:.2g}")


@pytest.mark.slow
@pytest.mark.parametrize(("count", "per_row"), [(3, 3), (5, 3), (6, 3), (7, 5), (8, 4)])
def test_many_panels_are_in_several_rows(count: int, per_row: int) -> None:
    names = ["post_ln", "pre_ln", "admin", "b2t", "deep_norm", "t5", "plain", "keel"][:count]
    figure, panels = drawn(rows(variant=names))
    assert [axis.get_title(loc="left") for axis in panels] == names
    heights = [round(axis.get_position().y0, 3) for axis in panels]
    assert len(set(heights[:per_row])) == 1
    assert all(height < heights[0] for height in heights[per_row:])
    assert [axis.get_ylabel() for axis in panels] == ["" if place % per_row else "lr" for place in range(count)]
    above = count - per_row  # panels with another one below them
    assert [axis.get_xlabel() for axis in panels] == [""] * above + ["depth"] * per_row
    assert sum(not axis.get_visible() for axis in figure.axes) == -count % per_row


def test_many_places_are_labelled_at_a_distance() -> None:
    _, (post,) = drawn(rows(depth=list(range(20)), variant=["post_ln"]))
    assert [label.get_text() for label in post.get_xticklabels()] == ["0", "4", "8", "12", "19"]
    assert len(post.get_yticklabels()) == 2
