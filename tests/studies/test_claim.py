"""What a claim says of its values."""

import math

import pytest

from normexp.studies import claims_table
from normexp.studies.claim import Claim


def claim(*values, **changes):
    options = {"low": 0.5, "high": 2.0} | changes
    return Claim("name", "A grows with B.", "someone 2020, figure 1", "slope", values, **options)


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ([1.0, 1.5], "holds"),
        ([0.1, 0.4], "does not hold"),
        ([0.5], "holds"),
        ([2.0], "holds"),
        ([math.inf, 1.0], "does not hold"),
        ([math.nan, 1.0], "holds"),
        ([math.nan], "cannot be tested"),
        ([], "cannot be tested"),
    ],
)
def test_the_mean_over_the_seeds_decides(values, verdict):
    assert claim(*values).verdict == verdict


def test_a_diverged_run_may_be_what_was_claimed():
    assert claim(math.inf, 1.0, high=math.inf).verdict == "holds"


def test_what_cannot_be_tested_says_why():
    assert claim(1.0, why="it takes WMT").verdict == "cannot be tested"
    assert "it takes WMT" in claims_table.markdown([claim(1.0, why="it takes WMT")], {})


def test_spread_and_seeds_are_told():
    one = claim(1.0, 3.0, 1.5)
    assert one.measured == "1.833 ± 1 (n = 3)"
    assert one.agreeing == 2
    assert claim(1.0, high=math.inf).threshold == "≥ 0.5"
    assert claim(1.0, low=-math.inf).threshold == "≤ 2"
    assert claim(1.0).threshold == "0.5 to 2"
    assert claim(1.0).measured == "1 (n = 1)"


def test_what_does_not_hold_comes_first_with_its_note():
    claims = [claim(1.0), claim(9.0)]
    text = claims_table.markdown(claims, {"name": "More seeds were tried."})
    assert text.index("does not hold") < text.index("| holds |")
    assert "More seeds were tried." in text
    assert claims_table.count(claims) == "2 claims: 1 hold, 1 does not hold, 0 cannot be tested"
    assert "9" in claims_table.csv(claims, {"name": "More seeds."}, "quick")
    assert "More seeds." in claims_table.csv(claims, {"name": "More seeds."}, "quick")
