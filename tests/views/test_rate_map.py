"""The figure of rates: a field per run, a frame at every best rate, a line above what trains."""

import math

import pandas as pd
import pytest
from matplotlib.patches import StepPatch

from normexp.views.rate_map import rate_map

ROWS = [
    ("pre_ln", 2, 1e-3, 2.0, "trained"),
    ("pre_ln", 2, 2e-3, 1.0, "trained"),
    ("pre_ln", 6, 1e-3, 2.5, "partial"),
    ("pre_ln", 6, 2e-3, 4.0, "stuck"),
]


@pytest.mark.slow
def test_every_best_rate_has_a_frame_dashed_where_nothing_trains():
    rates = pd.DataFrame(ROWS, columns=["variant", "depth", "lr", "loss", "outcome"])
    points = pd.DataFrame(
        [("pre_ln", 2, 2e-3, 1.0, 0.0, 3.0, 1), ("pre_ln", 6, 1e-3, 0.0, 0.0, 3.0, math.nan)],
        columns=["variant", "depth", "lr", "trained", "floor", "blind", "window"],
    )
    axis = rate_map(rates, points, title="", settings="", unit="nats").axes[0]
    frames = [patch for patch in axis.patches if hasattr(patch, "get_x") and not patch.get_fill()]
    assert [(round(f.get_x() + 0.46), round(f.get_y() + 0.46)) for f in frames] == [(0, 1), (1, 0)]
    assert frames[0].get_linestyle() == "-"
    assert frames[1].get_linestyle() != "-"
    grey = [patch for patch in axis.patches if patch.get_fill() and patch.get_facecolor()[:3] == (0.82, 0.82, 0.82)]
    assert len(grey) == 1


def test_where_no_rate_learned_none_is_the_best_and_the_line_ends_where_nothing_fails():
    """At 2 layers the highest rate trains, so higher ones are not known; at 6 and 12 layers a higher one fails."""
    rows = [
        *(("pre_ln", 2, lr, 1.0, "trained") for lr in (1e-3, 2e-3)),
        *(("pre_ln", 6, 1e-3, 1.0, "trained"), ("pre_ln", 6, 2e-3, 3.0, "stuck")),
        *(("pre_ln", 12, lr, 3.0, "stuck") for lr in (1e-3, 2e-3)),
    ]
    rates = pd.DataFrame(rows, columns=["variant", "depth", "lr", "loss", "outcome"])
    points = pd.DataFrame(
        [
            ("pre_ln", depth, 1e-3, trained, 0.0, 3.0, window)
            for depth, trained, window in ((2, 1, 2), (6, 1, 1), (12, 0, 0))
        ],
        columns=["variant", "depth", "lr", "trained", "floor", "blind", "window"],
    )
    axis = rate_map(rates, points, title="", settings="", unit="nats").axes[0]
    assert len([patch for patch in axis.patches if hasattr(patch, "get_x") and not patch.get_fill()]) == 2
    (line,) = (patch for patch in axis.patches if isinstance(patch, StepPatch))
    heights = line.get_data().values
    assert math.isnan(heights[0])
    assert heights[1:].tolist() == [0.5, -0.5]
