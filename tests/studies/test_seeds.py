"""How many seeds a study gets, and that verdicts asked for several times are wrong no more often than those of once."""

import math

import numpy as np
import pytest

from normexp.errors import ConfigError
from normexp.studies.claim import Claim
from normexp.studies.seeds import Seeds, chosen, look, looks, seeds_of, with_seeds
from normexp.studies.study import Part
from tests.support.synthetic import Made
from tests.support.worlds import WORLDS
from tests.support.worlds.dong2021 import Dong2021
from tests.support.worlds.nguyen2019 import Nguyen2019
from tests.support.worlds.wang2019 import Wang2019
from tests.support.worlds.warmup import Warmup

RUNS = Part("runs", "sweep", ("depth=6", "seed=range(5)", "variant=pre_ln"), grid="runs")


def test_options_say_how_many():
    assert chosen(None, False, None) == Seeds((0,))
    assert chosen(7, False, None) == Seeds((7,))
    assert chosen(None, True, None) == Seeds((5, 10, 20), exactly=False)
    assert chosen(None, True, 12) == Seeds((5, 10, 12), exactly=False)
    assert looks(5) == (5,)
    assert looks(40) == (5, 10, 20, 40)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((1, False, None), "--seeds must be at least 2; got 1"),
        ((5, True, None), "--seeds and --until-decided cannot be used together; choose one"),
        ((None, False, 10), "--at-most is only used by --until-decided"),
        ((None, True, 4), "--at-most must be at least 5, the fewest seeds with a verdict; got 4"),
    ],
)
def test_options_that_contradict_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        chosen(*options)


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("range(5)", [0, 1, 2, 3, 4]), ("range(200,203)", [200, 201, 202]), ("1,2", [1, 2]), ("100", [100])],
)
def test_seeds_of_a_part_are_read(text, seeds):
    assert list(seeds_of(Part("a", "sweep", (f"seed={text}",)))) == seeds
    assert list(seeds_of(Part("a", "sweep", ("depth=3",)))) == []


def test_more_seeds_keep_the_folder_and_the_order_of_the_keys():
    """The keys' order gives runs their names, so that runs of fewer seeds are found again."""
    study = Wang2019().load()
    more = with_seeds(RUNS, 10, Seeds((10,)), study)
    assert more.line == ("depth=6", "seed=range(0,10)", "variant=pre_ln")
    assert more.folder == RUNS.folder
    assert str(more) == "normexp sweep depth=6 'seed=range(0,10)' variant=pre_ln"
    assert more.with_keys("other", depth=3).line == ("seed=range(0,10)", "variant=pre_ln", "depth=3")


def test_number_replaces_but_looks_only_add():
    study = Wang2019().load()
    assert list(seeds_of(with_seeds(RUNS, 3, Seeds((3,)), study))) == [0, 1, 2]
    assert with_seeds(RUNS, 3, Seeds((3,), exactly=False), study) == RUNS
    assert with_seeds(RUNS, 0, Seeds(), study) == RUNS
    single = Part("rates", "sweep", ("seed=100",), grid="rates")
    assert with_seeds(single, 10, Seeds((10,)), study) == single
    control = with_seeds(study.parts["control"], 7, Seeds((7,)), study)
    assert list(seeds_of(control)) == list(range(240, 254))  # two sets of seven


class Uneven(Nguyen2019):
    """Of 6 layers without warm-up Pre-LN trains on all seeds but one; SmallInit saves every other seed."""

    def outcome(self, frame):
        failed = (frame["variant"] == "pre_ln") & (frame["depth"] == 6) & (frame["seed"] == 2)
        failed |= (frame["init"] == "small") & (frame["seed"] % 2 == 1)
        return np.where(failed, "stuck", super().outcome(frame))


class Unclear(Dong2021):
    """Post-LN's tokens become more alike on every other seed."""

    def token_cosine(self, rows):
        return 0.1 + 0.2 * (rows["seed"] % 2) * rows["layer"] / 12


def judged(world, seeds):
    """What is judged, and how many seeds every part had at each look."""
    study, asked = world.load(), []

    def bring():
        asked.append({name: len(seeds_of(part)) for name, part in study.parts.items()})
        return study.parts, {name: Made(part, world) for name, part in study.parts.items()}

    return look(study, seeds, bring), asked


@pytest.mark.slow
def test_seeds_are_added_only_where_the_runs_cannot_tell():
    found, asked = judged(Uneven(), Seeds((5, 10), exactly=False))
    assert [(counts["cold"], counts["init"]) for counts in asked] == [(5, 5), (10, 10)]
    assert asked[0] == asked[1] | {"cold": 5, "init": 5}
    at = {claim.name: (claim.verdict, len(claim.values)) for claim in found.claims}
    assert at["post-cold-deeper"] == ("holds", 5)  # decided at the first look, although its part got more seeds
    assert at["pre-smaller"] == ("holds", 5)
    assert at["post-cold"] == at["pre-cold"] == ("holds", 10)
    assert at["small-saves"] == ("cannot tell", 10)
    assert {claim.level for claim in found.claims} == {0.975}
    assert found.last == 10


def test_it_ends_when_nothing_is_undecided():
    found, asked = judged(Warmup(), Seeds((5, 10), exactly=False))
    assert len(asked) == 1
    assert found.last == 5
    assert {claim.verdict for claim in found.claims if claim.confirmatory} == {"holds"}


@pytest.mark.slow
def test_parts_that_have_enough_seeds_are_not_asked_again():
    """At initialisation there are twenty at every look."""
    found, asked = judged(Unclear(), Seeds((5, 10), exactly=False))
    assert [claim.name for claim in found.claims if claim.verdict == "cannot tell"] == ["post-alike"]
    assert len(asked) == 1
    _, asked = judged(Unclear(), Seeds((5, 10, 40), exactly=False))
    assert asked == [{"attention": 20, "whole": 20}, {"attention": 20, "whole": 40}]


def test_one_number_is_one_look_at_95_per_cent():
    found, asked = judged(Uneven(), Seeds((3,)))
    assert [counts["cold"] for counts in asked] == [3]
    assert asked[0]["init"] == 3
    assert asked[0]["control"] == 6
    assert {claim.level for claim in found.claims} == {0.95}
    assert Seeds((3,)).summary(3) == ""
    text = Seeds((5, 10), exactly=False).summary(10)
    assert "at 5, 10 seeds" in text
    assert "the last time at 10" in text
    assert "97.5%" in text


def sequential(effect, kind, draw, studies=1000, stops=(5, 10, 20)):
    """Shares of the verdicts of studies that add seeds until one is reached."""
    rng, found = np.random.default_rng(0), []
    for _ in range(studies):
        values, verdict = draw(rng, effect, stops[-1]), ""
        window = {"low": 0.5} if kind == "share" else {"low": 0.0}
        for stop in stops:
            claim = Claim("c", "A.", "", "", values[:stop], high=math.inf, kind=kind, looks=len(stops), **window)
            verdict = str(claim.verdict)
            if verdict != "cannot tell":
                break
        found.append(verdict)
    return {verdict: found.count(verdict) / studies for verdict in ("holds", "does not hold", "cannot tell")}


def normal(rng, effect, seeds):
    return rng.normal(effect, 1, seeds)


def coins(rng, effect, seeds):
    return (rng.random(seeds) < 0.5 + effect).astype(float)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "draw"), [("difference", normal), ("share", coins)])
def test_several_looks_are_wrong_no_more_often_than_one(kind, draw):
    assert sequential(0, kind, draw)["cannot tell"] >= 0.95


@pytest.mark.slow
def test_smaller_effects_are_found_than_with_five_seeds():
    """One standard deviation, which five seeds decide in less than half of the studies."""
    found = sequential(1, "difference", normal)
    assert found["holds"] >= 0.95
    assert sequential(1, "difference", normal, stops=(5,))["holds"] < 0.5


@pytest.mark.slow
def test_worlds_have_a_part_for_every_undecided_claim():
    """What a claim has read is a part that can be given more seeds."""
    for make in WORLDS.values():
        world = make()
        runs = world.runs()
        grids = {made.part.name: made.part.grid for made in runs.values()}
        for claim in world.load().claims(runs):
            assert claim.reads <= grids.keys()
            assert {grids[name] for name in claim.reads} <= world.load().parts.keys()
