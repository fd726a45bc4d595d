"""Configs for tests: composed as on the command line, or small ones written down."""

import copy
import os
from collections.abc import Sequence
from functools import cache
from typing import Any

from normexp.config.choice import Choice
from normexp.config.compose import Composer
from normexp.config.schema import Config, from_dict, to_dict
from normexp.sweep.plan import plan


def config_of(*overrides: str, config_dirs: Sequence[str] = ()) -> Config:
    """The config of `normexp train` with these overrides."""
    if config_dirs or not _of_the_package(overrides):
        return plan("train", overrides, config_dirs=config_dirs).runs[0].config
    return _remembered(overrides, os.getcwd(), os.environ.get("NORMEXP_RESULTS", ""))


def _of_the_package(overrides: Sequence[str]) -> bool:
    """Whether they choose among what is in the package, which no test changes."""
    return not any(text.startswith(("data=files", "data=hub")) for text in overrides)


@cache
def _remembered(overrides: tuple[str, ...], folder: str, results: str) -> Config:
    """Composing takes 0.1 s, and many tests ask for the same config. folder, results: where its runs go."""
    return plan("train", overrides).runs[0].config


@cache
def _composer() -> Composer:
    """One for all tests in a process: it remembers the choices of a group."""
    return Composer("train")


def choice_of(group: str, name: str) -> Choice:
    """An entry of a group, with the options that its YAML gives it."""
    return _composer().choice(group, name)


def node_of(group: str, name: str, **options: Any) -> dict[str, Any]:
    """What the YAML of a group's entry says, with other options, as plain values."""
    choice = choice_of(group, name)
    return {"name": name, "_target_": choice.target, **choice.options, **options}


def with_values(config: Config, **changes: Any) -> Config:
    """The config with other plain values; a dict is merged into the section or group of this name."""
    values = to_dict(config)
    for key, value in changes.items():
        merges = isinstance(value, dict) and "_target_" not in value
        values[key] = {**values[key], **value} if merges else value
    return from_dict(values)


def small_config(**changes: Any) -> Config:
    """A config of a 3-layer model of width 16; changes by top-level key, dicts merged one level for `model`."""
    values: dict[str, Any] = {
        "depth": 3,
        "seed": 0,
        "config_dirs": [],
        "task": {"name": "translation"},
        "model": {
            "width": 16, "heads": 4, "feed_forward": 32, "encoder_depth": 3, "decoder_depth": 3, "activation": "relu",
            "positions": "sinusoidal", "tied": True, "dropout": 0.0, "attention_dropout": 0.0, "max_length": 64,
            "fix_norm": False, "attention_norm": "none", "persistent": 0,
        },
        "variant": {"name": "post_ln", "_target_": "normexp.variants.post_ln.PostLN"},
        "norm": {"name": "layer_norm", "_target_": "normexp.norms.LayerNorm", "eps": 1e-5},
        "init": {"name": "xavier_uniform", "_target_": "normexp.model.initialisers.XavierUniform"},
    }  # fmt: skip
    values = copy.deepcopy(values)
    for key, value in changes.items():
        values[key] = {**values[key], **value} if isinstance(value, dict) and key == "model" else value
    return from_dict(values)
