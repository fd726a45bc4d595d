"""The figure of best rates over depth: points, a line where the slope is known, and what is said where it is not."""

import math

import pandas as pd
import pytest

from normexp.views import style
from normexp.views.rate_by_depth import rate_by_depth

POINTS = pd.DataFrame(
    [("b2t", depth, 0.03 / depth, 1.0, 2) for depth in (3, 6, 12)]
    + [("post_ln", depth, 0.01, trained, math.nan) for depth, trained in ((3, 1.0), (6, 0.2), (12, math.nan))]
    + [("post_ln", 24, 1e-5, 0.0, 0)],  # no rate learned there
    columns=["variant", "depth", "lr_fitted", "trained", "window"],
)
VARIANTS = pd.DataFrame(
    [("b2t", -1.0, -1.1, -0.9), ("post_ln", math.nan, math.nan, math.nan)],
    columns=["variant", "drift", "drift_low", "drift_high"],
)


@pytest.fixture
def axes():
    with style.context():
        return rate_by_depth(POINTS, VARIANTS, title="", settings="").axes


def test_a_known_slope_has_its_line_through_the_points(axes):
    """And not beyond them: b2t was not trained at 24 layers."""
    line = next(line for line in axes[0].lines if line.get_color() == "crimson")
    assert line.get_xdata().tolist() == pytest.approx([3, 12])
    assert line.get_ydata().tolist() == pytest.approx([0.01, 0.0025])
    assert axes[0].get_title(loc="left") == "b2t\nslope −1.00 [−1.10, −0.90]"


def test_too_few_depths_that_train_have_no_slope_and_others_are_open(axes):
    """And where no rate learned there is no point."""
    assert axes[1].get_title(loc="left") == "post_ln\nslope not known, 1 depth"
    filled, empty = axes[1].lines
    assert list(filled.get_xdata()) == [3]
    assert list(empty.get_xdata()) == [6, 12]
    assert empty.get_markerfacecolor() == "white"
