"""A plan asks for what the runs before it call for."""

import pandas as pd
import pytest

from tests.support.worlds import WORLDS
from tests.support.worlds.depth_limit import DepthLimit
from tests.support.worlds.shallow import Shallow

OWN_PLANS = (
    *("depth_limit", "shallow", "depth_use2025", "curse_of_depth2025", "attention_residuals2026"),
    *("hyper_connections2024", "keel2026"),
)


def bisected(limits, size="quick", failing=()):
    """The depth and the variants of every part that is asked for when variants train down to their limits.

    failing: (variant, depth) at which one seed of those that should train does not.
    """
    plan, asked = DepthLimit(size).load().plan(), []
    assert next(plan).name == "control"
    part = next(plan)
    while part is not None:
        line = dict(text.split("=", 1) for text in part.overrides)
        depth, variants = int(line["depth"]), line["variant"].split(",")
        assert part.name == f"depth{depth}"
        asked.append((depth, variants))
        rows = [
            {"variant": v, "seed": seed, "outcome": "trained" if depth <= limits.get(v, 0) else "stuck"}
            for v in variants
            for seed in range(2)
        ]
        frame = pd.DataFrame(rows)
        for variant, at in failing:
            if at == depth:
                frame.loc[(frame["variant"] == variant) & (frame["seed"] == 1), "outcome"] = "partial"
        try:
            part = plan.send(type("Some", (), {"frame": frame}))
        except StopIteration:
            part = None
    return asked


ALL = ["post_ln", "pre_ln", "admin", "deep_norm"]  # of the quick size, whose rungs are 3, 6 and 12


def test_where_all_train_it_climbs_to_the_deepest():
    assert bisected(dict.fromkeys(ALL, 99)) == [(6, ALL), (12, ALL)]


def test_where_none_trains_it_goes_down_to_the_shallowest():
    assert bisected({}) == [(6, ALL), (3, ALL)]


def test_one_seed_that_fails_is_enough_to_go_down():
    limits = dict.fromkeys(ALL, 99)
    assert bisected(limits, failing=[(v, 6) for v in ALL]) == [(6, ALL), (3, ALL)]


def test_variants_at_the_same_rung_share_a_part():
    limits = {"post_ln": 3, "pre_ln": 12, "admin": 6, "deep_norm": 12}
    assert bisected(limits) == [(6, ALL), (3, ["post_ln"]), (12, ["pre_ln", "admin", "deep_norm"])]


@pytest.mark.slow
def test_of_eleven_rungs_four_are_enough_for_each():
    rungs = [2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64]
    for limit in (1, *rungs):
        depths = [depth for depth, variants in bisected({"pre_ln": limit}, "full") if "pre_ln" in variants]
        assert len(depths) == len(set(depths)) <= 4
        trains, fails = [d for d in depths if d <= limit], [d for d in depths if d > limit]
        between = [rung for rung in rungs if max(trains, default=0) < rung < min(fails, default=99)]
        assert between == []  # the limit is known exactly


@pytest.mark.slow
@pytest.mark.parametrize(("post", "parts"), [
    (5e-4, {"runs-lr5e-4": {"post_ln"}, "runs-lr1.5e-3": {"pre_ln", "b2t"}}),
    (1.5e-3, {"runs-lr1.5e-3": {"post_ln", "pre_ln", "b2t"}}),
])  # fmt: skip
def test_shallow_stacks_run_at_the_rate_that_was_best(post, parts):
    runs = Shallow(post_lr=post).runs()
    untied = [name for name in runs if name.startswith("untied")]
    assert list(runs) == ["control", "rates", *parts, *untied]
    assert set(untied) == {name.replace("runs", "untied") for name in parts}
    for name in ("control", *untied):
        runs.pop(name)
    rates = runs.pop("rates").frame
    assert set(rates["seed"]) == {100}
    for name, part in runs.items():
        assert set(part.frame["variant"]) == parts[name]
        assert set(part.frame["lr"]) == {post if "post_ln" in parts[name] else 1.5e-3}
        assert set(part.frame["depth"]) == {2, 6}
        assert set(part.frame["seed"]) == set(range(5))  # on none of them the rate was chosen


@pytest.mark.slow
def test_depth_use_trains_every_variant_at_its_rate_of_the_map_and_searches_the_others():
    runs = WORLDS["depth_use2025"]().runs()
    assert set(runs.pop("rates").frame["variant"]) == {"attention_residuals"}
    assert set(runs.pop("control").frame["variant"]) == {"pre_ln"}
    rates = {(v, lr) for made in runs.values() for v, lr in zip(made.frame["variant"], made.frame["lr"], strict=True)}
    assert rates == {
        *(("post_ln", 3.75e-4), ("deep_norm", 7.5e-4), ("pre_ln", 1.2e-2), ("layer_norm_scaling", 1.2e-2)),
        ("attention_residuals", 3e-3),  # all losses are equal here, and then the smallest is taken
    }


@pytest.mark.slow
def test_curse_of_depth_does_so_too():
    runs = WORLDS["curse_of_depth2025"]().runs()
    assert set(runs.pop("rates").frame["variant"]) == {"peri_ln"}
    assert set(runs.pop("control").frame["variant"]) == {"pre_ln"}
    rates = {(v, lr) for made in runs.values() for v, lr in zip(made.frame["variant"], made.frame["lr"], strict=True)}
    assert rates == {("pre_ln", 1.2e-2), ("layer_norm_scaling", 1.2e-2), ("mix_ln", 3e-3), ("peri_ln", 3e-3)}


@pytest.mark.slow
def test_attention_residuals_do_so_after_a_part_that_needs_no_rate():
    runs = WORLDS["attention_residuals2026"]().runs()
    assert next(iter(runs)) == "start"
    rates = {(v, lr) for name, made in runs.items() if name.startswith("runs")
             for v, lr in zip(made.frame["variant"], made.frame["lr"], strict=True)}  # fmt: skip
    assert rates == {("pre_ln", 1.2e-2), ("attention_residuals", 3e-3)}


def test_hyper_connections_search_all_their_rates():
    runs = WORLDS["hyper_connections2024"]().runs()
    assert set(runs["rates"].frame["lr"]) == {6e-3, 1.2e-2, 2.4e-2}
    trained = [made.frame for name, made in runs.items() if name.startswith("runs")]
    assert {variant for frame in trained for variant in frame["variant"]} == {"pre_ln", "hyper_connections", "mhc"}


@pytest.mark.slow
def test_both_forms_of_keel_have_rates_of_their_own():
    runs = WORLDS["keel2026"]().runs()
    assert [name for name in runs if "runs" not in name] == ["start", "start_plain", "control", "rates", "rates_plain"]
    with_rule = [made.frame for name, made in runs.items() if name.startswith("runs-")]
    without = [made.frame for name, made in runs.items() if name.startswith("runs_plain-")]
    assert {variant for frame in with_rule for variant in frame["variant"]} == {"keel", "pre_ln", "post_ln"}
    assert not any("variant.first_block" in frame for frame in with_rule)
    assert [set(frame["variant.first_block"]) for frame in without] == [{False}]


@pytest.mark.slow
def test_all_other_plans_ask_for_their_parts_as_they_stand():
    for study, world in WORLDS.items():
        if study not in OWN_PLANS:
            parts = world().load().parts
            assert [made.part for made in world().runs().values()] == list(parts.values())
