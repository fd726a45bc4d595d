"""Numbers as text: what a title or a legend shows is the value that was swept."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normexp.views.formatting import number

finite = st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False, min_value=-1e300, max_value=1e300)


@given(value=finite)
def test_text_reads_back_close_to_the_value(value):
    """Three significant digits below 0.01, six from there on."""
    shown = number(value)
    assert float(shown) == pytest.approx(value, rel=5.01e-3 if abs(value) < 0.01 else 5.01e-6, abs=0)


@given(digits=st.integers(-999, 999), exponent=st.integers(-12, 12))
def test_a_value_of_three_digits_reads_back_exactly(digits, exponent):
    """What people type, 3e-4 or 0.05, is never rounded."""
    value = float(f"{digits}e{exponent}")
    assert float(number(value)) == value


@given(value=st.integers())
def test_whole_numbers_are_exact(value):
    assert int(number(value)) == value


@given(value=finite)
def test_text_is_short(value):
    """A legend has room for it: no padding zeros, no plus sign, at most a sign, six digits, a point, an exponent."""
    shown = number(value)
    mantissa = shown.partition("e")[0]
    assert len(shown) <= 13
    assert not ("." in mantissa and mantissa.endswith(("0", ".")))


@pytest.mark.parametrize("value", [None, math.nan])
def test_no_value_is_none(value):
    assert number(value) == "none"
