"""Every claim of every study, on tables that follow the paper, that go against it, and with runs that diverged."""

import math
from functools import cache

import pytest

from normexp.studies import claims_table
from normexp.studies.runner import load, studies
from normexp.studies.study import SIZES
from tests.support.worlds import WORLDS

CASES = [(study, name) for study, world in WORLDS.items() for name in world.cases]


@cache
def judged(study, **changes):
    """Every claim of a study, in its order, and what the runs of that world say of it."""
    world = WORLDS[study](**changes)
    return list(world.load().claims(world.runs()))


def claims(study, **changes):
    return {claim.name: claim for claim in judged(study, **changes)}


def test_every_study_that_claims_something_has_its_tables():
    assert set(WORLDS) == set(studies())


@pytest.mark.slow
@pytest.mark.parametrize("study", WORLDS)
@pytest.mark.parametrize("size", SIZES)
def test_what_follows_the_paper_holds(study, size):
    world = WORLDS[study](size)
    names = [claim.name for claim in judged(study, size=size)]
    found = claims(study, size=size)
    control = found.pop("control", None)
    assert control is None or (control.kind, control.verdict) == ("control", "cannot tell")
    assert names == [*world.cases, *(["control"] if control else [])]
    for name, claim in found.items():
        missing = size == "quick" and world.cases[name].size == "full"
        assert claim.verdict == ("cannot be tested" if missing else "holds"), claim
        assert claim.met != missing


@pytest.mark.slow
@pytest.mark.parametrize(("study", "name"), CASES)
def test_what_was_planted_comes_out(study, name):
    case = WORLDS[study].cases[name]
    claim = claims(study, size=case.size)[name]
    assert len(claim.values) >= 1
    assert claim.values == pytest.approx([case.holds] * len(claim.values), abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(("study", "name"), CASES)
def test_every_claim_can_fail(study, name):
    case = WORLDS[study].cases[name]
    claim = WORLDS[study](case.size, **case.against).claim(name)
    assert claim.verdict == "does not hold", claim
    assert claim.values == pytest.approx([case.fails] * len(claim.values), abs=1e-9)


@pytest.mark.slow
def test_no_spikes_at_all_are_not_fewer():
    claim = WORLDS["peri_ln2025"](pre_spikes=0).claim("peri-spikes-less")
    assert claim.values == [0] * 5
    assert claim.verdict == "cannot be tested"


@pytest.mark.slow
@pytest.mark.parametrize("study", WORLDS)
def test_a_note_is_about_a_claim(study):
    _, notes = load(study, "quick")
    assert set(notes) <= set(claims(study))


@pytest.mark.slow
@pytest.mark.parametrize("study", WORLDS)
def test_a_claim_says_what_it_asks_for_and_from_whom(study):
    for claim in claims(study).values():
        assert math.isfinite(claim.low) or math.isfinite(claim.high)
        assert claim.text.endswith(".")
        assert claim.place
        assert claim.statistic


@pytest.mark.slow
@pytest.mark.parametrize("study", WORLDS)
def test_training_is_said_of_the_claims_that_read_trained_runs(study):
    """They alone come out otherwise when noise is laid over what was trained, and every verdict is one."""
    world = WORLDS[study]("full")
    asked = world.runs()

    def noisy(verdict):
        shaken = WORLDS[study]("full", noise=verdict)
        runs = {name: type(made)(made.part, shaken) for name, made in asked.items()}
        return {claim.name: claim.values for claim in world.load().claims(runs)}

    before, others = claims(study, size="full"), [noisy("trained"), noisy("stuck")]
    changed = {name for name, claim in before.items() if any(other[name] != claim.values for other in others)}
    assert changed == {name for name, claim in before.items() if claim.training}


@pytest.mark.slow
@pytest.mark.parametrize("study", WORLDS)
@pytest.mark.parametrize(("size", "gone"), [("quick", 25), ("quick", 150), ("full", 25)])
def test_diverged_runs_stop_no_claim(study, size, gone):
    found = judged(study, size=size, gone=gone)
    assert len(claims_table.csv(found, {}, "quick").splitlines()) == len(found) + 1
    assert all(claim.verdict in claims_table.ORDER for claim in found)
