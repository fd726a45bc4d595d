"""One override of the command line: parsed by Hydra, and checked before anything is composed."""

import itertools
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, RangeSweep
from hydra.errors import HydraException

from normexp.config.hydra_errors import TYPES, sentence
from normexp.config.names import did_you_mean, unknown
from normexp.config.schema import CHOICES, CLASSES, EXPERIMENT, LISTS, iter_keys
from normexp.errors import ConfigError

MOST_VALUES = 100_000  # of one swept key
_INTEGER = re.compile(r"""['"]?\s*[+-]?[\d_]+\s*['"]?""")


@dataclass(frozen=True)
class Request:
    """One parsed override. values: what it sets, several if it is swept, each as Hydra writes it."""

    text: str
    key: str
    values: tuple[str, ...]
    swept: bool
    prefix: str = ""  # + or ++ or ~
    elements: tuple[Any, ...] = field(default=(), compare=False)  # the values as Python objects

    def override(self, value: str) -> str:
        """The override with one of its values, as Hydra takes it."""
        # An option that a YAML does not list needs ++ in Hydra. Which options a class has, the class knows best.
        option = "." in self.key and self.key.partition(".")[0] in (*CLASSES, *LISTS.values())
        added = "++" if option else "+" if self.key == EXPERIMENT else ""  # no defaults list has an experiment
        return f"{self.prefix or added}{self.key}={value}"


def read(text: str, loader: ConfigLoader) -> Request:
    """Parse and check one override. Raises ConfigError for a key, a choice or a list of values that cannot be."""
    if text.endswith(","):
        raise ConfigError(f"{text} must not end in a comma; a list of values has no spaces, as in depth=6,12")
    if "=" not in text:
        raise ConfigError(f"{text} must be KEY=VALUE, for example depth=6")
    if re.match(r"[\w.]+(=\s|\s+=)", text):
        raise ConfigError(f"{text} must have no space next to =, as in depth=6")
    try:
        (override,) = OverridesParser.create(config_loader=loader).parse_overrides([text])
        swept = override.is_sweep_override()
        if swept and not override.is_discrete_sweep():
            raise ConfigError(f"{text} must list its values, as in lr=1e-3,2e-3; it names an interval")
        _check_count(override, text)
        listed = override.sweep_string_iterator() if swept else iter([override.get_value_element_as_str()])
        values = tuple(itertools.islice(listed, MOST_VALUES + 1))
    except HydraException as error:
        raise ConfigError(f"{text} cannot be read: {sentence(error)}{_quoted(text)}") from error
    except RecursionError as error:
        raise ConfigError(f"{text[:40]}… cannot be read: it is nested too deeply") from error
    if not values:
        raise ConfigError(f"{text} must have at least one value; it has none")
    if len(values) > MOST_VALUES:
        raise ConfigError(f"{text} must have at most {MOST_VALUES:,} values")
    _check_key(override, text, loader)
    _check_truth(override.get_key_element().lstrip("+~"), values)
    elements = tuple(override.sweep_iterator()) if swept else (override.value(),)
    key = override.get_key_element()
    name = key.lstrip("+~")
    return Request(text, name, values, swept, key[: len(key) - len(name)], elements)


def _quoted(text: str) -> str:
    """How to write a value of data as text, if it is not: a path or a delimiter may have any character."""
    key, _, value = text.partition("=")
    plain = key.startswith("data.") and not any(mark in value for mark in "'\"\\")
    return f"; to take it as text, write '{key}=\"{value}\"'" if plain else ""


def _check_key(override: Override, text: str, loader: ConfigLoader) -> None:
    key = override.get_key_element().lstrip("+~")
    group = key.partition(".")[0]
    keys = [name for name, _ in iter_keys()] + [*CHOICES]
    if any(part.startswith("_") and part != "_target_" for part in key.split(".")):
        raise ConfigError(f"{key} is not a key")
    if key == "config_dirs":
        raise ConfigError("config_dirs cannot be set as a key; use --config-dir DIR")
    if key == EXPERIMENT:
        _check_experiment(override, text, loader.get_group_options(EXPERIMENT))
    elif group.partition("/")[0] != "hydra" and key not in keys and group not in (*CLASSES, *LISTS.values()):
        raise ConfigError(f"{key} is not a key{did_you_mean(key, keys)}")
    if key in CHOICES or "/" in key:
        values = list(override.sweep_iterator() if override.is_sweep_override() else [override.value()])
        options = loader.get_group_options(key)
        if key not in LISTS and any(isinstance(one, list) for one in values):
            raise ConfigError(f"{key} must be one name; {key}=NAME,NAME runs one after the other; got {text}")
        for value in (str(each) for one in values for each in (one if isinstance(one, list) else [one])):
            if value not in options:
                raise ConfigError(unknown(key, value, options))


def _check_experiment(override: Override, text: str, names: Sequence[str]) -> None:
    if not names:
        raise ConfigError(f"{text} needs --config-dir DIR, a folder with {EXPERIMENT}/NAME.yaml")
    name = override.value()
    if override.is_sweep_override() or not isinstance(name, str):
        raise ConfigError(f"{EXPERIMENT} must be one name; got {text.partition('=')[2]}")
    if name not in names:
        raise ConfigError(unknown(EXPERIMENT, name, names))


def _check_count(override: Override, text: str) -> None:
    """Raise ConfigError for a range that is endless or too long, before any of it is made."""
    value = override.value()
    if not isinstance(value, RangeSweep):
        return
    start, stop, step = (float(each or 0) for each in (value.start, value.stop, value.step))
    if not (step and all(map(math.isfinite, (start, stop, step)))):
        raise ConfigError(f"{text} must have finite bounds and a step other than 0")
    if (stop - start) / step > MOST_VALUES:
        raise ConfigError(f"{text} must have at most {MOST_VALUES:,} values; it has {(stop - start) / step:,.0f}")


def _check_truth(key: str, values: Iterable[str]) -> None:
    """Raise ConfigError for a number as the value of a key that is true or false; OmegaConf would take any integer."""
    if getattr(dict(iter_keys()).get(key), "type", None) is not bool:
        return
    if wrong := [value for value in values if _INTEGER.fullmatch(value)]:
        raise ConfigError(f"{key} must be {TYPES['Boolean']}; got {wrong[0]}")
