"""The map of twelve variants, and what the start predicts of it: verdicts, and pages that follow from their tables."""

import math
import runpy
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from normexp.data.corpus import load_corpus
from normexp.maps import numbers
from tests.support.configs import config_of

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "results" / "reference"
twelve = runpy.run_path(str(ROOT / "scripts" / "twelve.py"))
predictors = runpy.run_path(str(ROOT / "scripts" / "predictors.py"))


def a_map(slopes, trained, interior=True, window=2):
    """Points at depth 24 and slopes with their intervals, for the variants of which something was expected."""
    names = ("post_ln", "pre_ln", "deep_norm", "admin")
    points = [
        {
            "variant": name,
            "depth": 24,
            "interior": interior,
            "window": window,
            "n": 5,
            "outcomes": "some",
            "trained": trained[name],
        }
        for name in names
    ]
    columns = ("drift", "drift_low", "drift_high")
    drifts = [{"variant": name} | dict(zip(columns, slopes.get(name, (math.nan,) * 3), strict=True)) for name in names]
    return pd.DataFrame(points), pd.DataFrame(drifts)


def verdicts(*made):
    return {name: verdict for name, _, verdict in twelve["claims"](*made)}


def test_what_was_expected_holds_where_it_is_so():
    slopes = {"post_ln": (-1.0, -1.5, -0.5), "deep_norm": (0.0, -0.1, 0.1)}
    assert set(verdicts(*a_map(slopes, {"post_ln": 0, "pre_ln": 1, "deep_norm": 1, "admin": 1})).values()) == {"holds"}


def test_and_does_not_hold_where_it_is_not():
    slopes = {"post_ln": (1.0, 0.5, 1.5), "deep_norm": (-1.0, -1.5, -0.5)}
    assert set(verdicts(*a_map(slopes, {"post_ln": 1, "pre_ln": 0, "deep_norm": 0, "admin": 0})).values()) == {
        "does not hold"
    }


def test_intervals_over_an_edge_and_missing_slopes_are_no_verdict():
    trained = {"post_ln": 0, "pre_ln": 1, "deep_norm": 1, "admin": 1}
    found = verdicts(*a_map({"post_ln": (-0.5, -1.5, 0.5)}, trained))
    assert found["post-rate-falls"] == "cannot tell"
    assert found["deep-norm-rate-flat"] == "cannot be tested"


def test_three_of_five_seeds_do_not_tell_whether_most_train():
    found = verdicts(*a_map({}, dict.fromkeys(("post_ln", "pre_ln", "deep_norm", "admin"), 0.6)))
    assert {found[f"{name}-24-trains"] for name in ("pre", "admin", "deep-norm")} == {"cannot tell"}
    assert found["post-24-fails"] == "cannot tell"


def test_a_rate_on_the_edge_is_no_best_rate():
    found = verdicts(*a_map({}, dict.fromkeys(("post_ln", "pre_ln", "deep_norm", "admin"), 1), interior=False))
    assert set(found.values()) == {"cannot be tested"}


def test_seeds_that_are_not_there_yet_are_no_verdict():
    points, drifts = a_map({}, dict.fromkeys(("post_ln", "pre_ln", "deep_norm", "admin"), 1))
    found = verdicts(points[points["variant"] != "pre_ln"].assign(n=0), drifts)
    assert set(found.values()) == {"cannot be tested"}


@pytest.mark.parametrize(("sign", "mean"), [(1, 1.0), (-1, -1.0)])
def test_a_measure_that_orders_all_variants_has_tau_1(sign, mean):
    values = pd.DataFrame({"value": range(8), "loss": range(8)}, index=list("abcdefgh"))
    assert predictors["pseudo_values"]([values], sign) == pytest.approx([mean] * 8)


def test_pseudo_values_have_the_jackknife_error():
    """Their spread is that of τ without one variant, times n − 1."""
    values = pd.DataFrame({"value": [1, 2, 3, 4, 5, 6], "loss": [2, 1, 4, 3, 6, 5]}, index=list("abcdef"))
    whole = predictors["tau"]([values], 1)
    without = [predictors["tau"]([values.drop(index=name)], 1) for name in values.index]
    assert predictors["pseudo_values"]([values], 1) == pytest.approx([6 * whole - 5 * each for each in without])


def test_a_variant_is_left_out_at_all_depths_at_once():
    """One depth is in perfect order and the other in the reverse, so τ is 0, whoever is left out."""
    values = pd.DataFrame({"value": range(6), "loss": range(6)}, index=list("abcdef"))
    reverse = values.assign(loss=-values["loss"]).drop(index="a")
    assert predictors["tau"]([values, reverse], 1) == 0
    assert predictors["pseudo_values"]([values, reverse], 1) == pytest.approx([0] * 6)


@pytest.mark.slow
@pytest.mark.parametrize("edition", [name for name in ("TIED", "UNTIED") if twelve[name].path.exists()])
def test_the_page_and_all_numbers_follow_from_the_published_runs(edition):
    edition = twelve[edition]
    assert twelve["page"](edition) == (edition.path / "map.md").read_text()
    again = numbers.points(twelve["shown"](edition.table("runs")))
    assert again.to_csv(**twelve["CSV"]) == (edition.path / "points.csv").read_text()
    assert (
        numbers.variants(twelve["distinct"](again)).to_csv(**twelve["CSV"])
        == (edition.path / "variants.csv").read_text()
    )


@pytest.mark.parametrize("edition", [name for name in ("TIED", "UNTIED") if predictors[name].path.exists()])
def test_what_the_start_predicts_follows_from_the_published_measures(edition):
    edition = predictors[edition]
    measures = pd.read_csv(edition.path / "measures.csv")
    found = predictors["compared"](edition, measures)
    text = found.to_csv(index=False, lineterminator="\n", float_format="%.4g")
    assert text == (edition.path / "predictors.csv").read_text()
    assert predictors["page"](edition, found, measures) == (edition.path / "predictors.md").read_text()


def some_runs(*rows):
    runs = pd.DataFrame(rows, columns=["variant", "depth", "lr", "seed", "loss"])
    return runs.assign(data="docstrings", floor=0.0, blind=3.0, outcome="trained", step=400)[
        ["variant", "depth", *numbers.COLUMNS]
    ]


def test_runs_are_in_the_order_of_the_map():
    runs = some_runs(("pre_ln", 3, 0.003, 0, 2.0), ("post_ln", 12, 0.006, 100, 2.2), ("post_ln", 6, 0.003, 1, 2.3),
                     ("post_ln", 6, 0.003, 0, 2.4), ("post_ln", 6, 0.003, 100, 2.1))  # fmt: skip
    assert twelve["in_order"](runs)["loss"].tolist() == [2.1, 2.4, 2.3, 2.2, 2.0]


def test_a_depth_is_complete_with_the_seeds_of_all_variants():
    rows = [(name, depth, 0.003, seed, 2.0) for name in twelve["VARIANTS"] for depth in (3, 6) for seed in range(5)]
    runs = some_runs(*rows, ("pre_ln", 12, 0.003, 0, 2.0))
    assert twelve["complete"](runs) == [3, 6]
    assert twelve["complete"](runs[:-2]) == [3]


def test_losses_are_compared_seed_by_seed():
    """Seeds differ by more than variants do here."""
    losses = {"pre_ln": 1.0, "post_ln": 1.5, "deep_norm": 2.0}
    rows = [(name, 3, 0.003, seed, loss + seed) for name, loss in losses.items() for seed in range(5)]
    runs = some_runs(*rows, *((name, 3, 0.003, 100, 9.0) for name in losses))
    found = twelve["differences"](runs, runs.assign(loss=runs["loss"] - 0.25))
    assert found[0] == ("pre-before-post: 3 layers", "−0.500 [−0.500, −0.500]", "holds")
    assert found[1] == ("pre-before-post: 6 layers", "its seeds are missing", "cannot be tested")
    assert found[4] == ("deep-norm-untied: 3 layers", "0.250 [0.250, 0.250]", "does not hold")


@pytest.mark.parametrize(
    ("published", "shipped"),
    [
        ("map/points", "tied/points"),
        ("map/variants", "tied/variants"),
        ("map_untied/points", "untied/points"),
        ("map_untied/variants", "untied/variants"),
        ("predictors/predictors", "tied/predictors"),
        ("predictors_untied/predictors", "untied/predictors"),
    ],
)
def test_cards_have_the_published_tables(published, shipped):
    ours = ROOT / "normexp" / "cards" / "reference" / f"{shipped}.csv"
    assert ours.read_text() == (REFERENCE / f"{published}.csv").read_text()


def as_here(runs):
    """The runs with the level blind of the text here, which `normexp map --known` compares."""
    config = config_of("task=language_modelling")
    return runs.assign(blind=load_corpus(config.data).baselines_for("language_modelling")["blind"])


@pytest.fixture
def edition(tmp_path, monkeypatch):
    """An edition of which nothing is published, and whose pages are not drawn."""
    ours = twelve["publish"].__globals__
    for name, value in {
        "REFERENCE": tmp_path,
        "origins": lambda folders: ["here"],
        "draw": lambda edition: None,
    }.items():
        monkeypatch.setitem(ours, name, value)
    return twelve["Edition"]("some", "some", (), ())


def seeds_of(depth, count):
    """A run of the search and fresh seeds of all variants at a depth."""
    seeds = (100, *range(count))
    return some_runs(*((name, depth, 0.003, seed, 2.0) for name in twelve["VARIANTS"] for seed in seeds))


def test_the_page_shows_the_depths_that_are_complete():
    runs = pd.concat([seeds_of(3, 5), seeds_of(6, 5)[:-1]])
    assert set(twelve["shown"](runs)["depth"]) == {3}
    with pytest.raises(SystemExit, match="no depth is complete yet: a depth has 5 fresh seeds of every variant"):
        twelve["shown"](seeds_of(6, 4))


def test_fresh_seeds_at_a_rate_that_was_the_best_once_do_not_count():
    runs = seeds_of(3, 5)
    better = some_runs(("pre_ln", 3, 0.0015, 100, 1.0))
    with pytest.raises(SystemExit, match="no depth is complete yet"):
        twelve["shown"](pd.concat([runs, better]))
    seeds = some_runs(*(("pre_ln", 3, 0.0015, seed, 1.5) for seed in range(5)))
    found = twelve["shown"](pd.concat([runs, better, seeds]))
    assert set(found.loc[(found["variant"] == "pre_ln") & (found["seed"] != 100), "lr"]) == {0.0015}


@pytest.mark.slow
def test_what_is_published_is_not_trained_again(edition, monkeypatch, tmp_path):
    monkeypatch.setenv("NORMEXP_RESULTS", str(tmp_path / "results"))
    edition.path.mkdir()
    rates = [("post_ln", 3, 3e-3 * 2.0**k, 100, 2.0 + abs(k)) for k in (-1, 0, 1)]
    seeds = [("post_ln", 3, 3e-3, seed, 2.0) for seed in range(4)]
    as_here(some_runs(*rates, *seeds)).to_csv(edition.path / "runs.csv", index=False)
    asked = edition.survey()
    todo = [(run.config.lr, run.config.seed) for run in asked.todo() if run.config.variant.name == "post_ln"]
    assert todo == [(3e-3, 100), (6e-3, 100), (3e-3, 4)]  # 6 layers begin where 3 layers ended
    commands = []
    ends = [2, 0]
    monkeypatch.setattr(
        twelve["subprocess"],
        "run",
        lambda words: commands.append(words) or SimpleNamespace(returncode=ends.pop()),
    )
    monkeypatch.setitem(twelve["make"].__globals__, "publish", lambda edition: None)
    twelve["make"](edition, jobs=1, stacked=1)
    assert commands[0][-2:] == ["--known", str(edition.path / "runs.csv")]
    with pytest.raises(SystemExit, match="2"):  # as the map ended
        twelve["make"](edition, jobs=1, stacked=1)


def test_what_is_complete_is_published_with_where_it_was_made(edition, monkeypatch):
    measured = pd.DataFrame({"folder": ["run"]}), seeds_of(6, 1)
    monkeypatch.setattr(twelve["report"], "measured", lambda asked: measured)
    monkeypatch.setattr(twelve["Edition"], "survey", lambda edition: None)
    edition.path.mkdir()
    seeds_of(3, 1).to_csv(edition.path / "runs.csv", index=False)
    (edition.path / "origin.json").write_text('["there"]')
    for _ in range(2):  # the second time nothing is new
        twelve["publish"](edition)
        assert edition.table("runs")["depth"].value_counts().to_dict() == {3: 24, 6: 24}
    assert (edition.path / "origin.json").read_text() == '[\n "there",\n "here"\n]\n'


def test_without_a_run_nothing_is_overwritten(edition, monkeypatch, tmp_path):
    monkeypatch.setenv("NORMEXP_RESULTS", str(tmp_path / "results"))
    edition.path.mkdir()
    as_here(seeds_of(3, 1)).to_csv(edition.path / "runs.csv", index=False)
    before = (edition.path / "runs.csv").read_bytes()
    with pytest.raises(SystemExit, match="nothing to publish: no run in"):
        twelve["publish"](edition)
    assert (edition.path / "runs.csv").read_bytes() == before


def test_where_no_rate_learned_there_is_no_difference():
    runs = pd.concat([seeds_of(depth, 5) for depth in twelve["DEPTHS"]])
    verdicts = {name: verdict for name, _, verdict in twelve["differences"](runs, runs)}
    assert verdicts["pre-before-post: 24 layers"] == "holds"
    stuck = (runs["variant"] == "post_ln") & (runs["depth"] == 24)
    runs = runs.assign(outcome=runs["outcome"].where(~stuck, "stuck"), loss=runs["loss"].where(~stuck, 3.0))
    verdicts = {name: verdict for name, _, verdict in twelve["differences"](runs, runs)}
    assert verdicts["pre-before-post: 24 layers"] == "cannot be tested"
    assert verdicts["pre-before-post: 12 layers"] == "holds"


def test_another_text_is_compared_by_order_and_rates(edition):
    """The same order; the best rate of one variant is a factor of 2 higher there, that of the last is unknown."""

    def map_of(best, losses):
        rates = [(name, 24, 3e-3 * 2.0**k, 100, 1 + abs(k - best[name])) for name in best for k in range(-2, 4)]
        return some_runs(*rates, *((name, 24, 3e-3 * 2.0 ** best[name], 0, losses[name]) for name in losses))

    edition.path.mkdir()
    names = ("pre_ln", "post_ln", "b2t")
    here = map_of(dict.fromkeys(names, 0), dict(zip(names, (1.5, 2.0, 2.5), strict=True)))
    assert twelve["other_text"](edition, numbers.points(here)) == []
    there = map_of({"pre_ln": 0, "post_ln": 1}, {"pre_ln": 1.6, "post_ln": 1.9})
    there.to_csv(edition.path / "other_text.csv", index=False)
    (edition.path / "other_text_origin.json").write_text('[{"gpu": "NVIDIA H200"}]')
    (said,) = filter(None, twelve["other_text"](edition, numbers.points(here)))
    assert said.startswith("At 24 layers, 2 of the variants were also trained on one NVIDIA H200, where")
    assert "is 1.00. The best rate is the same for 1 of 2 variants, twice or half as high for 1, and" in said
