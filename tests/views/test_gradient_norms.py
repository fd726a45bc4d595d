"""Gradient norms of many variants: a panel each, and one that explodes does not hide the others."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from normexp.views.gradient_norms import MANY, gradient_norms
from normexp.views.grid import KeyAxes

NAMES = [f"variant{number:02d}" for number in range(MANY + 2)]
KEYS = KeyAxes("depth", "variant", [])


def tables(names: list[str], largest: float = 1.0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Runs of depth 2 and 4, and their norms of 1; the first variant's grow up to `largest`."""
    runs = pd.DataFrame(
        {"folder": f"{name}-{depth}", "variant": name, "depth": depth, "seed": 0, "state": "completed"}
        for name in names
        for depth in (2, 4)
    )
    rows = [
        (run.folder, 0, stack, layer, "feed_forward", "grad_norm", largest if run.variant == names[0] else 1.0)
        for run in runs.itertuples()
        for stack in ("encoder", "decoder")
        for layer in range(1, run.depth + 1)
    ]
    columns = ["folder", "step", "stack", "layer", "site", "statistic", "value"]
    return runs, pd.DataFrame(rows, columns=columns)


@pytest.mark.slow
@pytest.mark.parametrize(("names", "panels"), [(NAMES[:MANY], 4), (NAMES, MANY + 2)])
def test_many_variants_have_a_panel_each(names, panels):
    figure = gradient_norms(*tables(names), KEYS)
    assert sum(axis.get_visible() for axis in figure.axes) == panels
    plt.close(figure)


@pytest.mark.slow
def test_many_values_of_another_key_share_their_panels():
    runs, layers = tables(NAMES)
    figure = gradient_norms(runs.rename(columns={"variant": "lr"}), layers, KeyAxes("depth", "lr", []))
    assert len(figure.axes) == 4
    plt.close(figure)


@pytest.mark.slow
@pytest.mark.parametrize("value", [0.0, np.nan])
def test_many_variants_without_a_gradient_are_drawn(value):
    runs, layers = tables(NAMES)
    figure = gradient_norms(runs, layers.assign(value=value), KEYS)
    assert len(figure.axes) >= len(NAMES)
    plt.close(figure)


@pytest.mark.slow
def test_one_that_explodes_leaves_the_others_visible():
    figure = gradient_norms(*tables(NAMES, largest=1e20), KEYS)
    first, second = figure.axes[:2]
    low, high = second.get_ylim()
    assert all(low < value < high for line in second.lines for value in np.ravel(line.get_ydata()))
    assert high < 1e6
    assert [line.get_marker() for line in first.lines if line.get_label() == "_gone"] == ["x"] * 4
    assert "Crosses: above the axis or not finite." in figure.get_label()
    plt.close(figure)
