"""Every config key: described, typed, and held to its range."""

import math
import re
from typing import Any

import pytest

from normexp.config.schema import GROUPS, Config, ignored_keys, iter_keys, to_dict
from normexp.config.validate import check, check_read, warmup_steps
from normexp.errors import ConfigError
from tests.support.configs import with_values
from tests.support.runs import tiny_config

KEYS = dict(iter_keys())
BOUNDS = [(name, rule) for name in KEYS for rule in ("ge", "gt", "lt") if KEYS[name].metadata.get(rule) is not None]
# Changed alone, these would also break another rule.
ALONG = {"model.width": {"model.heads": 1}, "steps": {"warmup": "0"}}
WORDS = {"ge": "at least", "gt": "greater than", "lt": "less than"}


@pytest.fixture(scope="module")
def config() -> Config:
    return tiny_config()


def changed(config: Config, values: dict[str, Any]) -> Config:
    for name, value in values.items():
        section, _, key = name.partition(".")
        config = with_values(config, **{section: {key: value} if key else value})
    return config


@pytest.mark.parametrize("name", KEYS)
def test_key_says_what_it_means(name):
    assert KEYS[name].metadata["help"]


def test_keys_are_those_of_config_yaml(config):
    values = to_dict(config)
    assert {name.partition(".")[0] for name in KEYS} | {"task"} == set(values)
    for name in KEYS:
        section, _, key = name.partition(".")
        assert not key or key in values[section]


@pytest.mark.parametrize(("name", "rule"), BOUNDS)
def test_value_at_its_bound(name, rule, config):
    bound = KEYS[name].metadata[rule]
    whole = KEYS[name].type is int
    lower, higher = (bound - 1, bound + 1) if whole else (math.nextafter(bound, -9), math.nextafter(bound, 9))
    good, bad = {"ge": (bound, lower), "gt": (higher, bound), "lt": (lower, bound)}[rule]
    along = ALONG.get(name, {})
    check(changed(config, {name: good, **along}))
    with pytest.raises(ConfigError, match=f"^{re.escape(f'{name} must be {WORDS[rule]} {bound}; got {bad}')}$"):
        check(changed(config, {name: bad, **along}))


@pytest.mark.parametrize("name", [name for name, rule in BOUNDS if KEYS[name].type is float])
def test_nan_is_refused(name, config):
    with pytest.raises(ConfigError, match=f"^{name} must be .*; got nan$"):
        check(changed(config, {name: math.nan}))


@pytest.mark.parametrize("name", [name for name in KEYS if KEYS[name].metadata.get("options")])
def test_choice_outside_its_options_is_refused(name, config):
    for option in KEYS[name].metadata["options"]:
        check(changed(config, {name: option}))
    with pytest.raises(ConfigError, match=f"^{name} must be one of .*; got other$"):
        check(changed(config, {name: "other"}))


def test_width_is_a_multiple_of_the_heads(config):
    with pytest.raises(ConfigError, match=r"^model\.width must be a multiple of model\.heads=3; got 16$"):
        check(changed(config, {"model.heads": 3}))


@pytest.mark.parametrize("name", ["model.decoder_depth", "model.tied", "record.sentences"])
def test_key_that_the_task_does_not_read_is_refused(name, config):
    classification = changed(config, {"task.name": "classification"})
    with pytest.raises(ConfigError, match=f"^{name} is not used by task=classification"):
        check_read(classification, ["depth", name])
    check_read(classification, ["depth", "model.encoder_depth"])
    check_read(config, ["depth", name])


@pytest.mark.parametrize(
    ("warmup", "steps", "count"),
    [("0", 400, 0), ("400", 400, 400), ("10%", 400, 40), ("0%", 400, 0), ("100%", 400, 400), ("2.5%", 400, 10)],
)  # fmt: skip
def test_warm_up_is_steps_or_a_share(warmup, steps, count):
    assert warmup_steps(warmup, steps) == count


@pytest.mark.parametrize(
    "warmup", ["401", "101%", "-1", "-1%", "-0.1%", "soon", "1.5", "%", "", "10 %%", "nan%", "inf%"]
)
def test_warm_up_outside_the_training_is_refused(warmup):
    with pytest.raises(ConfigError, match=r"^warmup must be "):
        warmup_steps(warmup, 400)


def test_groups_are_the_keys_with_choices(config):
    values = to_dict(config)
    assert set(GROUPS) == {name for name, node in values.items() if isinstance(node, dict) and "name" in node}


def test_keys_without_identity_are_listed_once():
    of_the_machine = {"name", "results", "config_dirs", "probe", "probes", "ray", "slurm", "training.threads"}
    replaced_by_what_they_choose = {"tokens", "flops", "model.parameters"}
    same_numbers = {"training.activation_checkpointing", "record.trunk", "training.stacked"}
    assert set(ignored_keys()) == of_the_machine | replaced_by_what_they_choose | same_numbers
