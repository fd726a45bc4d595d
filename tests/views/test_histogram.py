"""What histogram draws, read back from its bars."""

import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

from normexp.views.histogram import histogram

FRAME = {"title": "Title", "settings": "settings", "caption": "caption", "label": "norm"}
VARIANTS = ["post_ln", "pre_ln", "admin", "b2t", "deep_norm", "t5", "plain"]


def rows(variants: list[str] = VARIANTS[:2]) -> pd.DataFrame:
    """Encoder values over four decades, decoder values at their upper end."""
    encoder, decoder = np.geomspace(1e-4, 1, 40), np.full(10, 0.9)
    stacks = [
        pd.DataFrame({"stack": "encoder", "value": encoder}),
        pd.DataFrame({"stack": "decoder", "value": decoder}),
    ]
    return pd.concat([part.assign(variant=variant) for variant in variants for part in stacks], ignore_index=True)


def drawn(some: pd.DataFrame, bins: int = 24) -> tuple[Figure, list[Axes]]:
    """The figure, after saving it without a warning, and its visible panels."""
    figure = histogram(some, bins=bins, **FRAME)
    figure.savefig(io.BytesIO(), dpi=20)
    return figure, [axis for axis in figure.axes if axis.get_visible()]


def bars(axis: Axes) -> tuple[np.ndarray, np.ndarray]:
    """Shares of encoder and decoder, whose outline is the second patch of each."""
    patches = [patch for patch in axis.patches if isinstance(patch, StepPatch)]
    filled, outlines = patches[::2], patches[1::2]
    for one, other in zip(filled, outlines, strict=True):
        np.testing.assert_array_equal(one.get_data().values, other.get_data().values)
    encoder, decoder = (patch.get_data().values for patch in outlines)
    return encoder, decoder


@pytest.mark.slow
def test_bars_of_every_stack_add_up_to_1() -> None:
    _, panels = drawn(rows())
    for axis in panels:
        for shares in bars(axis):
            assert shares.sum() == pytest.approx(1)
    encoder, decoder = bars(panels[0])
    assert encoder.max() <= 0.06  # evenly spread
    assert decoder[-1] == 1


@pytest.mark.slow
def test_bins_reach_from_the_smallest_to_the_largest_value() -> None:
    _, (post, _) = drawn(rows(), bins=4)
    edges = post.patches[0].get_data().edges
    np.testing.assert_allclose(edges, [1e-4, 1e-3, 1e-2, 1e-1, 1], rtol=2e-4)
    np.testing.assert_allclose(bars(post)[0], [0.25] * 4)
    assert post.get_xscale() == "log"


@pytest.mark.slow
def test_panels_stacks_and_axes_are_named() -> None:
    figure, panels = drawn(rows())
    assert [axis.get_title(loc="left") for axis in panels] == ["post_ln", "pre_ln"]
    assert [axis.get_xlabel() for axis in panels] == ["norm", "norm"]
    assert [axis.get_ylabel() for axis in panels] == ["share of the sites", ""]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["encoder", "decoder"]
    outlines = panels[0].patches[1::2]
    assert [line.get_color() for line in figure.legends[0].get_lines()] == ["#332288", "#CC6677"]
    assert len({patch.get_edgecolor() for patch in outlines}) == 2


@pytest.mark.slow
def test_zeros_and_what_is_next_to_them_are_in_the_lowest_bin() -> None:
    some = rows()
    some.loc[:9, "value"] = 0.0
    some.loc[10, "value"] = 1e-30
    _, (post, pre) = drawn(some)
    assert bars(post)[0][0] >= 11 / 40
    assert bars(post)[0].sum() == pytest.approx(1)
    assert post.patches[0].get_data().edges[0] == 1e-8  # a single tiny value does not stretch the axis
    assert bars(pre)[0][0] == 0


@pytest.mark.slow
def test_what_is_not_finite_is_left_out() -> None:
    some = rows()
    some.loc[:9, "value"] = np.nan
    some.loc[10:19, "value"] = np.inf
    some.loc[(some["variant"] == "pre_ln") & (some["stack"] == "decoder"), "value"] = np.nan
    _, (post, pre) = drawn(some)
    assert bars(post)[0].sum() == pytest.approx(1)
    assert post.patches[0].get_data().edges[-1] < 1.001
    assert bars(pre)[1].sum() == 0  # there is nothing of which it would be a share


@pytest.mark.slow
@pytest.mark.parametrize(("count", "per_row"), [(5, 3), (6, 3), (7, 5)])
def test_many_panels_are_in_several_rows(count: int, per_row: int) -> None:
    figure, panels = drawn(rows(VARIANTS[:count]))
    assert [axis.get_title(loc="left") for axis in panels] == VARIANTS[:count]
    assert len(figure.axes) == 2 * per_row
    below = [place + per_row < count for place in range(count)]  # whether there is a panel below it
    assert [axis.get_xlabel() for axis in panels] == ["" if covered else "norm" for covered in below]
    labelled = [any(label.get_visible() for label in axis.get_xticklabels()) for axis in panels]
    assert labelled == [not covered for covered in below]
    assert len({axis.get_ylim() for axis in panels}) == 1
