"""The settings of runs that are not the package's defaults, for titles: what a reader would not expect."""

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

import pandas as pd
import yaml

from normexp.config.schema import CLASSES, configs_folder, iter_keys

SECTIONS = ("model", "training")
# Not what is asked.
NEUTRAL = ("training.device", "training.threads", "training.stacked", "training.compile", "data.seed")
FOLLOW = ("model.encoder_depth", "model.decoder_depth")  # the depth, unless they are set
DEFAULTS = {"optimizer": "adam", "schedule": "linear"}  # groups that no heading names


def unusual(frame: pd.DataFrame, swept: Sequence[str]) -> dict[str, Any]:
    """The settings that all of these runs share and that differ from the defaults, by key; swept keys are left out.

    Defaults are those of the YAML files and of the schema, so that an option is only judged where one of them has it.
    """
    found = {}
    for key in map(str, frame.columns):
        known = default(key, frame)
        if known is None or key in swept or key in NEUTRAL or frame[key].nunique(dropna=False) != 1:
            continue
        value = frame[key].iloc[0]
        if key in FOLLOW and "depth" in frame and (frame[key] == frame["depth"]).all():
            continue
        if value != known and not (pd.isna(value) and pd.isna(known)):
            found[key] = value
    return found


def default(key: str, frame: pd.DataFrame) -> Any:
    """The default of a key for these runs; None where none is known or their choices differ."""
    group, _, option = key.partition(".")
    if key in DEFAULTS:
        return DEFAULTS[key]
    if not option or option.startswith("_") or (group not in CLASSES and group not in SECTIONS):
        return None
    if group not in frame or group == "training":
        return _schema().get(key)
    names = frame[group].unique()
    if len(names) != 1:
        return None
    preset = _preset(group, str(names[0]))
    value = preset.get(option, _schema().get(key))
    return json.dumps(value) if isinstance(value, list) else _number(value)


def _number(value: Any) -> Any:
    """1e-5 as a number: PyYAML reads it as text, OmegaConf does not."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


@cache
def _schema() -> dict[str, Any]:
    return {name: field.default for name, field in iter_keys() if name not in FOLLOW} | dict.fromkeys(FOLLOW, 0)


@cache
def _preset(group: str, name: str) -> dict[str, Any]:
    """What the package's YAML of a choice says; empty for a choice of the user's own."""
    path = configs_folder() / group / f"{name}.yaml"
    found = yaml.safe_load(path.read_text("utf-8")) if path.is_file() else None
    return found if isinstance(found, dict) else {}
