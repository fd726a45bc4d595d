"""What one key means: its values, its default, what it accepts."""

import difflib
import inspect
import re
from collections.abc import Iterator
from typing import Any

from normexp.config.choice import Choice
from normexp.config.compose import Composer
from normexp.config.schema import CHOICES, CLASSES, Config, iter_keys, value_of
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
        return "\n".join(_key(name, keys[name].metadata, composer.compose([])))
    chosen = group if group in CLASSES else "probe" if group.startswith("probes.") else ""
    if chosen and (lines := list(_option(chosen, option, group.removeprefix("probes."), composer))):
        return "\n".join([f"{name}: an option of these classes", *lines])
    close = difflib.get_close_matches(name, [*keys, *CHOICES], n=1)
    raise ConfigError(f"{name} is not a key{f'; did you mean {close[0]}?' if close else ''}")


_GROUPS = {
    "task": "what the model learns",
    "model": "size and parts of the model; each preset sets the keys model.…",
    "attention": "which sub-layers a layer has",
    "probe": "what is measured; choose several as probe=[stream,dependency]",
}


def _key(name: str, rules: Any, default: Config) -> Iterator[str]:
    yield f"{name}: {rules['help']}"
    yield f"  default: {number(_plain(value_of(default, name)))}"
    bounds = [f"{text} {number(rules[key])}" for key, text in BOUNDS.items() if rules.get(key) is not None]
    if accepts := ", ".join(map(str, rules.get("options") or ())) or " and ".join(bounds):
        yield f"  accepts: {accepts}"
    if rules.get("tasks"):
        yield f"  read by: {', '.join(rules['tasks'])}"
    if not rules.get("identity", True):
        yield "  cannot change a run's tables, so it is no part of a run's identity"


def _choices(group: str, composer: Composer) -> Iterator[str]:
    """Every name that the group offers, with its equation or the first line about it."""
    names = composer.options(group)
    width = max(map(len, names))
    for name in names:
        yield f"  {name:<{width}}  {_about(group, name, composer)}".rstrip()


def _about(group: str, name: str, composer: Composer) -> str:
    if group not in (*CLASSES, "probe"):
        return ""
    try:
        cls = _choice(group, name, composer).cls
    except ConfigError as error:
        return f"cannot be loaded: {error}"
    return str(getattr(cls, "equation", "")) or (inspect.getdoc(cls) or "").partition("\n")[0]


def _option(group: str, option: str, only: str, composer: Composer) -> Iterator[str]:
    """The default of an option in every class of the group that has it, with what the class says about it."""
    for name in composer.options(group):
        if group == "probe" and name != only:
            continue
        choice = _choice(group, name, composer)
        parameter = inspect.signature(choice.cls).parameters.get(option)
        if parameter is None and option not in choice.options:
            continue
        default = choice.options.get(option, parameter.default if parameter else None)
        yield f"  {name}: default {number(_plain(default))}{_said(choice.cls, option)}"


def _choice(group: str, name: str, composer: Composer) -> Choice:
    if group != "probe":
        return composer.choice(group, name)
    (found,) = (each for each in composer.compose([f"probe=[{name}]"]).probes if each.name == name)
    return found


def _said(cls: Any, option: str) -> str:
    """What the docstring says of an option: after its name, or in the first line, if that has it."""
    if not cls.__module__.startswith("normexp"):
        return f"; see {cls.__module__.partition('.')[0]}'s {cls.__name__}"
    doc = inspect.getdoc(cls) or ""
    stated = re.search(rf"(?:^|[.;,] ){re.escape(option)}: ([^.;]+)", " ".join(doc.split()))
    first = doc.partition("\n")[0]
    said = stated[1] if stated else first if re.search(rf"\b{re.escape(option)}\b", first) else ""
    return f"; {said}" if said else ""


def _plain(value: Any) -> Any:
    if isinstance(value, Choice):
        return value.name
    return ", ".join(map(str, value)) if isinstance(value, tuple) else value
