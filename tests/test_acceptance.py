"""The acceptance test of a task: its criteria, and the published results."""

import runpy
from itertools import product
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "scripts" / "acceptance.py"
acceptance = runpy.run_path(str(SCRIPT))
VARIANTS = acceptance["VARIANTS"]
PUBLISHED = sorted((ROOT / "results" / "reference" / "acceptance").glob("*.csv"))
LEVELS = {"unigram": 3.0, "position_only": 3.0, "target_bigram": 2.5, "blind": 3.0, "floor": 1.0, "bar": 2.5}
SEEDS = (100, 101, 102)


def runs(loss, outcome=lambda variant: "trained"):
    """All runs at depth 2; loss: of the index of a variant, the seed's index and whether it has 2T steps."""
    rows = []
    for (place, variant), (i, seed), (twice, steps) in product(
        enumerate(VARIANTS), enumerate(SEEDS), enumerate((100, 200))
    ):
        row = {"depth": 2, "variant": variant, "seed": seed, "steps": steps, "outcome": outcome(variant)}
        rows.append(row | {"valid_loss": loss(place, i, twice), **{f"baseline.{k}": v for k, v in LEVELS.items()}})
    return pd.DataFrame(rows)


def met(frame):
    return {what.removeprefix("depth 2: "): ok for what, ok, _ in acceptance["judge"](frame)[1]}


def apart(place, i, twice):
    return 1.5 + 0.1 * place + 0.01 * i - 0.1 * twice


def test_variants_apart_whose_seeds_agree_are_accepted():
    assert met(runs(apart)) == {"no ceiling": True, "seeds agree": True, "the order is stable": True}


def test_a_loss_within_a_tenth_of_the_floor_is_a_ceiling():
    lowest = 1 + 0.1 * (3 - 1)
    assert met(runs(lambda place, i, twice: lowest + 0.01 + place / 10))["no ceiling"]
    assert not met(runs(lambda place, i, twice: lowest + place / 10))["no ceiling"]


def test_seeds_may_spread_by_a_quarter_of_the_range():
    """ln(loss − floor) of a variant is its place over 5, so the range is 1; seeds have the SD that is given."""

    def spread(sd):
        return runs(lambda place, i, twice: 1 + 2.718281828 ** (place / 5 + (i - 1) * sd))

    assert met(spread(0.24))["seeds agree"]
    assert not met(spread(0.26))["seeds agree"]


def test_variants_that_do_not_train_do_not_widen_the_range():
    def loss(place, i, twice):
        return 2.9 if place > 1 else 1.5 + 0.01 * place + 0.05 * i

    def outcome(variant):
        return "trained" if variant in VARIANTS[:2] else "stuck"

    assert met(runs(loss))["seeds agree"]
    assert not met(runs(loss, outcome))["seeds agree"]
    assert met(runs(loss, lambda variant: "stuck"))["seeds agree"] is None


@pytest.mark.parametrize(("swaps", "stable"), [(0, True), (1, True), (2, False)])
def test_one_swap_of_neighbours_of_six_is_allowed(swaps, stable):
    """Kendall's τ is then 0.87, after two swaps 0.73."""
    order = list(range(6))
    for first in range(0, 2 * swaps, 2):
        order[first], order[first + 1] = order[first + 1], order[first]
    assert (
        met(runs(lambda place, i, twice: apart(order[place] if twice else place, i, twice)))["the order is stable"]
        is stable
    )


def test_a_run_that_diverged_comes_last():
    found = met(runs(lambda place, i, twice: float("nan") if place == 5 else apart(place, i, twice)))
    assert found["the order is stable"]
    assert found["no ceiling"]


def test_missing_runs_are_no_verdict():
    assert met(runs(apart).iloc[:-1]) == {"depth 2": None}
    text = acceptance["report"](runs(apart), "docstrings")
    assert "cannot be tested in full" in text
    assert "| depth 6 | – | no run is complete |" in text


@pytest.mark.slow
@pytest.mark.parametrize("table", PUBLISHED, ids=lambda path: path.stem)
def test_published_results_follow_from_their_tables(table):
    assert acceptance["report"](pd.read_csv(table), table.stem) == table.with_suffix(".md").read_text()


def test_a_run_that_two_sweeps_have_trained_counts_once(tmp_path, monkeypatch):
    found = runs(apart).assign(state="completed", final_loss=1.0, token_accuracy=0.5, folder=str(tmp_path))
    monkeypatch.setattr("normexp.runs", lambda folder: pd.concat([found, found]))
    write = acceptance["write"]
    monkeypatch.setitem(write.__globals__, "REFERENCE", tmp_path)
    write([tmp_path], "docstrings", 3)
    assert len(pd.read_csv(tmp_path / "docstrings.csv")) == len(found)


def test_variants_at_rates_of_their_own_are_sweeps_of_their_own():
    assert len(acceptance["sweeps"]("docstrings", 3)) == 1
    lines = acceptance["sweeps"]("docstrings_tuned", 3)
    assert len(lines) == 2 * len(VARIANTS)
    assert all(sum(word.startswith("lr=") for word in line) == 1 for line in lines)
    assert "seed=range(101,104)" in lines[0]
