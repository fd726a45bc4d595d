"""What one key means: its values, its default, what it accepts."""

import inspect
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from normexp.config.choice import Choice
from normexp.config.compose import Composer
from normexp.config.names import did_you_mean
from normexp.config.schema import CHOICES, CLASSES, LISTS, SETTING_OTHERS, Config, iter_keys, value_of
from normexp.errors import ConfigError
from normexp.views.formatting import number

BOUNDS = {"ge": "at least", "gt": "greater than", "lt": "less than"}


def explain(name: str, composer: Composer) -> str:
    """The meaning of a key such as lr, model.dropout, norm or norm.eps. Raises ConfigError for one that is none."""
    keys = dict(iter_keys())
    group, _, option = name.rpartition(".")
    if name in CHOICES:
        meaning = keys[name].metadata["help"] if name in keys else _GROUPS.get(name, "")
        return "\n".join([f"{name}: {meaning}", *_choices(name, composer)])
    if name in keys:
        return "\n".join(_key(name, keys[name].metadata, composer.default))
    if choices := list(_having(group, composer)):
        if lines := list(_option(option, choices)):
            return "\n".join([f"{name}: an option of these classes", *lines])
        options = dict.fromkeys(f"{group}.{each}" for choice in choices for each in _options(choice))
        raise ConfigError(f"{name} is not a key{did_you_mean(name, [*options])}")
    raise ConfigError(f"{name} is not a key{did_you_mean(name, [*keys, *CHOICES])}")


_GROUPS = {
    "task": "what the model learns",
    "model": "size and parts of the model; each preset sets the keys model.…",
    "attention": "which sub-layers a layer has",
    "probe": "what is measured; choose several as probe=[stream,dependency]",
}

_OF_OPTIMIZERS = {  # of torch, whose docstrings say it in a list
    "betas": "how much of the running means of the gradient and of its square is kept at every step",
    "eps": "added to the root of the mean square, so that no division is by 0",
    "weight_decay": "share of a weight that is taken away at every step, times the learning rate",
    "momentum": "how much of the last update is kept",
}


SIZES = "the size or the steps that follow from it are"


def _key(name: str, rules: Any, default: Config) -> Iterator[str]:
    yield f"{name}: {rules['help']}"
    yield f"  default: {number(_plain(value_of(default, name))) or 'none'}"
    bounds = [f"{text} {number(rules[key])}" for key, text in BOUNDS.items() if rules.get(key) is not None]
    if accepts := ", ".join(map(str, rules.get("options") or ())) or " and ".join(bounds):
        yield f"  accepts: {accepts}"
    if rules.get("tasks"):
        yield f"  read by: {', '.join(rules['tasks'])}"
    if not rules.get("identity", True):
        yield "  is not part of a run's identity" + (f"; {SIZES}" if name in SETTING_OTHERS else "")


def _choices(group: str, composer: Composer) -> Iterator[str]:
    """Every name that the group offers, with its equation or the first line about it."""
    names = composer.options(group)
    width = max(map(len, names))
    for name in names:
        yield f"  {name:<{width}}  {_about(group, name, composer)}".rstrip()


def _about(group: str, name: str, composer: Composer) -> str:
    if group not in (*CLASSES, *LISTS):
        return ""
    try:
        cls = composer.choice(group, name).cls
    except ConfigError as error:
        return f"cannot be loaded: {error}"
    return str(getattr(cls, "equation", "")) or (inspect.getdoc(cls) or "").partition("\n")[0]


def _having(section: str, composer: Composer) -> Iterator[Choice]:
    """The choices whose options the keys SECTION.… set: all of a group such as norm, or one such as probes.stream."""
    if section in CLASSES:
        for name in composer.options(section):
            with suppress(ConfigError):  # a broken YAML of a user is left out
                choice = composer.choice(section, name)
                _ = choice.cls
                yield choice
    for group, held in LISTS.items():
        name = section.removeprefix(f"{held}.")
        if name != section and name in composer.options(group):
            yield composer.choice(group, name)


def _options(choice: Choice) -> Iterator[str]:
    """The options of a class: those that its YAML lists, and its arguments with a default."""
    yield from choice.options
    for name, parameter in inspect.signature(choice.cls).parameters.items():
        if parameter.default is not parameter.empty:
            yield name


def _option(option: str, choices: Sequence[Choice]) -> Iterator[str]:
    """The default of an option in every class that has it, with what the class says about it."""
    for choice in choices:
        if option not in _options(choice):
            continue
        parameter = inspect.signature(choice.cls).parameters.get(option)
        default = choice.options.get(option, parameter.default if parameter else None)
        yield f"  {choice.name}: default {number(_plain(default))}{_said(choice.cls, option)}"


def _said(cls: Any, option: str) -> str:
    """What the docstring says of an option: after its name, or in the first line, if that has it."""
    if not cls.__module__.startswith("normexp"):
        meaning = f"; {_OF_OPTIMIZERS[option]}" if option in _OF_OPTIMIZERS else ""
        return f"{meaning}; see {cls.__module__.partition('.')[0]}'s {cls.__name__}"
    doc = inspect.getdoc(cls) or ""
    listed = rf"(?:\w+, )*{re.escape(option)}(?:, \w+)*"  # "betas, eps: of AdamW"
    stated = re.search(rf"(?:^|[.;,] ){listed}: ((?:[^.;]|\.(?=\w))+)", " ".join(doc.split()))
    first = doc.partition("\n")[0]
    said = stated[1] if stated else first if re.search(rf"\b{re.escape(option)}\b", first) else ""
    if elsewhere := re.fullmatch(r"as in `(\w+)`", said):
        return _said(getattr(sys.modules[cls.__module__], elsewhere[1]), option)
    return f"; {said}" if said else ""


def _plain(value: Any) -> Any:
    if isinstance(value, Choice):
        return value.name
    return ", ".join(str(_plain(each)) for each in value) if isinstance(value, tuple) else value
