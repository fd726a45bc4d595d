"""What the windows of claims allow."""

import math

import pytest

from normexp.studies.verdict import EXPONENT_MARGIN, LOSS_MARGIN
from normexp.studies.windows import SAME_LOSS, Window, at_least, at_most, exponent_of, within


def test_a_window_ends_where_it_says():
    assert at_least(1, "ratio", "theory") == Window(1, math.inf, "ratio", "theory")
    assert at_most(0.05, "level", "theory") == Window(-math.inf, 0.05, "level", "theory")
    assert within(0, 1, "level", "figure") == Window(0, 1, "level", "figure")
    root = exponent_of(-0.5, "theory")
    assert (root.low, root.high, root.kind) == (-0.5 - EXPONENT_MARGIN, -0.5 + EXPONENT_MARGIN, "equivalence")
    assert (SAME_LOSS.low, SAME_LOSS.high) == (-LOSS_MARGIN, LOSS_MARGIN)


@pytest.mark.parametrize(("kind", "source", "wrong"), [("slope", "theory", "slope"), ("ratio", "guess", "guess")])
def test_kind_and_source_are_known_ones(kind, source, wrong):
    with pytest.raises(AssertionError, match=wrong):
        at_least(1, kind, source)
