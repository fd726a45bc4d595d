"""The figure of rates: a field per run, a frame at every best rate, a line above what trains."""

import pandas as pd
import pytest

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
        [("pre_ln", 2, 2e-3, 1.0, 0.0, 3.0), ("pre_ln", 6, 1e-3, 0.0, 0.0, 3.0)],
        columns=["variant", "depth", "lr", "trained", "floor", "blind"],
    )
    axis = rate_map(rates, points, title="", settings="", unit="nats").axes[0]
    frames = [patch for patch in axis.patches if hasattr(patch, "get_x") and not patch.get_fill()]
    assert [(round(f.get_x() + 0.46), round(f.get_y() + 0.46)) for f in frames] == [(0, 1), (1, 0)]
    assert frames[0].get_linestyle() == "-"
    assert frames[1].get_linestyle() != "-"
    grey = [patch for patch in axis.patches if patch.get_fill() and patch.get_facecolor()[:3] == (0.82, 0.82, 0.82)]
    assert len(grey) == 1
