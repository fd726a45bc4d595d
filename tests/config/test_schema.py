"""Every config key: described, typed, and held to its range."""

import copy
import math
from typing import Any

import pytest

from normexp.config.schema import GROUPS, check, check_read, described, warmup_steps
from normexp.errors import ConfigError
from tests.support.runs import tiny_config

KEYS = dict(described())
BOUNDS = [
    (name, rule) for name in KEYS for rule in ("least", "above", "below") if KEYS[name].metadata.get(rule) is not None
]
# Changed alone, these would also break another rule.
ALONG = {"model.width": {"model.heads": 1}, "steps": {"warmup": "0"}}


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    return tiny_config()


def changed(config: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    config = copy.deepcopy(config)
    for name, value in values.items():
        *path, last = name.split(".")
        node = config
        for part in path:
            node = node[part]
        node[last] = value
    return config


@pytest.mark.parametrize("name", KEYS)
def test_a_key_says_what_it_means(name):
    assert KEYS[name].metadata["help"]


def test_the_keys_are_those_of_a_resolved_config(config):
    assert {name.partition(".")[0] for name in KEYS} == set(config)
    typed = {name.rpartition(".")[0] for name in KEYS} - {""}
    for group in typed:
        assert {name.rpartition(".")[2] for name in KEYS if name.startswith(f"{group}.")} == set(config[group]) - {
            "name"
        } | ({"name"} if group == "task" else set())


@pytest.mark.parametrize(("name", "rule"), BOUNDS)
def test_a_value_at_its_bound_is_taken_or_refused(name, rule, config):
    bound = KEYS[name].metadata[rule]
    whole = KEYS[name].type is int
    lower, higher = (bound - 1, bound + 1) if whole else (math.nextafter(bound, -9), math.nextafter(bound, 9))
    good, bad = {"least": (bound, lower), "above": (higher, bound), "below": (lower, bound)}[rule]
    along = ALONG.get(name, {})
    check(changed(config, {name: good, **along}))
    with pytest.raises(ConfigError, match=f"^{name}={bad} is too (small|large): .* is right$"):
        check(changed(config, {name: bad, **along}))


@pytest.mark.parametrize("name", [name for name in KEYS if KEYS[name].metadata.get("options")])
def test_a_choice_outside_its_options_is_refused(name, config):
    for option in KEYS[name].metadata["options"]:
        check(changed(config, {name: option}))
    with pytest.raises(ConfigError, match=f"^{name}=other: one of .* is right$"):
        check(changed(config, {name: "other"}))


def test_the_width_divides_into_the_heads(config):
    with pytest.raises(ConfigError, match=r"^model\.width=16 does not divide into model.heads=3$"):
        check(changed(config, {"model.heads": 3}))


@pytest.mark.parametrize("name", ["model.decoder_depth", "model.tied", "record.sentences"])
def test_a_key_on_the_line_that_the_task_does_not_read_is_refused(name, config):
    classification = changed(config, {"task.name": "classification"})
    with pytest.raises(ConfigError, match=f"^{name} is set, but task=classification does not read it"):
        check_read(classification, ["depth", name])
    check_read(classification, ["depth", "model.encoder_depth"])
    check_read(config, ["depth", name])


@pytest.mark.parametrize(
    ("warmup", "steps", "count"),
    [
        ("0", 400, 0),
        ("400", 400, 400),
        ("10%", 400, 40),
        ("0%", 400, 0),
        ("100%", 400, 400),
        ("2.5%", 400, 10),
        ("1%", 20, 0),
    ],
)
def test_warm_up_is_steps_or_a_share(warmup, steps, count):
    assert warmup_steps(warmup, steps) == count


@pytest.mark.parametrize("warmup", ["401", "101%", "-1", "-1%", "soon", "1.5", "%", "", "10 %%"])
def test_a_warm_up_that_is_no_part_of_the_training_is_refused(warmup):
    with pytest.raises(ConfigError, match=r"^warmup="):
        warmup_steps(warmup, 400)


def test_groups_are_the_keys_with_choices(config):
    assert set(GROUPS) == {name for name, node in config.items() if isinstance(node, dict) and "name" in node}
