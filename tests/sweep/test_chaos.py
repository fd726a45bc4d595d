"""Whatever is killed or damaged, all runs complete, to the same bytes. In full: scripts/chaos.py."""

import pytest

from tests.support.chaos import KILLS, chaos

pytestmark = pytest.mark.slow


def test_kills_and_damages_lose_nothing():
    outcome = chaos(kills=len(KILLS), damages=3, seed=1)
    assert outcome.good, outcome
    assert all(outcome.kills.values())
