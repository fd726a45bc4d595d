"""The configs of a grid, without composing every combination.

Composition takes some 50 ms, and a sweep may have 10,000 runs. So the first combination is composed, and then every
value of every swept key once, with all other keys at their first value. What a value changes in the config is the same
in every combination, unless two keys change the same part. In that case, and if composing the last combination shows
otherwise, every combination is composed.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, get_type_hints

from normexp.config.choice import Choice
from normexp.config.compose import Composer
from normexp.config.overrides import Request
from normexp.config.schema import CLASSES, Config, is_section

Change = dict[str, Any]  # what differs from the first config: a dotted key or a whole Choice → its value


def configs(composer: Composer, requests: Sequence[Request]) -> Iterator[Config]:
    """The config of every combination of the requested values, the last key varying fastest."""
    first = _compose(composer, requests, {})
    axes = [i for i, request in enumerate(requests) if request.swept]
    if not axes:
        yield first
        return
    changes = {axis: _changes(composer, requests, axis, first) for axis in axes}
    combinations = list(itertools.product(*(range(len(requests[axis].values)) for axis in axes)))
    merges = _independent(list(changes.values())) and _confirmed(composer, requests, changes, first)
    for indices in combinations:
        chosen = dict(zip(axes, indices, strict=True))
        yield _merged(first, changes, chosen) if merges else _compose(composer, requests, chosen)


def _compose(composer: Composer, requests: Sequence[Request], chosen: dict[int, int]) -> Config:
    """The config with some keys at the value of this index, all others at their first."""
    return composer.compose([r.override(r.values[chosen.get(i, 0)]) for i, r in enumerate(requests)])


def _changes(composer: Composer, requests: Sequence[Request], axis: int, first: Config) -> list[Change]:
    """What each value of one swept key changes.

    Where the first two values of a number show that some keys simply take it, further values are not composed; nor are
    further entries of a group, where the first two show that an entry changes the Choice alone.
    """
    key, elements = requests[axis].key, requests[axis].elements
    found: list[Change] = [{}]
    copies: list[str] = []
    choices: dict[str, Choice] = {}
    for index, element in enumerate(elements[1:], start=1):
        if copies and type(element) is type(elements[0]):
            found.append(dict.fromkeys(copies, element))
        elif str(element) in choices:
            found.append({key: choices[str(element)]})
        else:
            found.append(_difference(first, _compose(composer, requests, {axis: index})))
        if index > 1:
            continue
        if type(elements[0]) in (int, float):
            takes = (_is(new, element) and _is(_value(first, name), elements[0]) for name, new in found[1].items())
            copies = list(found[1]) if all(takes) else []
        elif key in CLASSES and len(elements) > 3 and not any(each.key.startswith(f"{key}.") for each in requests):
            choices = composer.independent(key, [str(each) for each in elements])
            choices = choices if found[1] == {key: choices.get(str(element))} else {}
    return found


def _is(value: Any, element: Any) -> bool:
    return type(value) is type(element) and value == element


def _independent(changes: Sequence[Sequence[Change]]) -> bool:
    """Whether no two swept keys change the same part of the config."""
    touched = [{key for change in axis for key in change} for axis in changes]
    return sum(map(len, touched)) == len(set().union(*touched))


def _confirmed(
    composer: Composer, requests: Sequence[Request], changes: dict[int, list[Change]], first: Config
) -> bool:
    """Whether the last combination, composed, is what the changes say."""
    last = {axis: len(found) - 1 for axis, found in changes.items()}
    return _compose(composer, requests, last) == _merged(first, changes, last)


def _merged(first: Config, changes: dict[int, list[Change]], chosen: dict[int, int]) -> Config:
    merged: Change = {}
    for axis, index in chosen.items():
        merged |= changes[axis][index]
    return _with(first, merged)


@cache
def _sections() -> set[str]:
    return {name for name, kind in get_type_hints(Config).items() if is_section(kind)}


def _difference(first: Config, other: Config) -> Change:
    found: Change = {}
    sections = _sections()
    for name, value in vars(other).items():
        before = getattr(first, name)
        if name in sections:
            found |= {f"{name}.{key}": new for key, new in vars(value).items() if new != getattr(before, key)}
        elif value != before:
            found[name] = value
    return found


def _value(config: Config, key: str) -> Any:
    value: Any = config
    for part in key.split("."):
        value = getattr(value, part)
    return value


def _with(first: Config, changes: Change) -> Config:
    whole: dict[str, Any] = {}
    inner: dict[str, dict[str, Any]] = {}
    for key, value in changes.items():
        section, _, name = key.partition(".")
        if name:
            inner.setdefault(section, {})[name] = value
        else:
            whole[key] = value
    sections = {section: replace(getattr(first, section), **values) for section, values in inner.items()}
    return replace(first, **whole, **sections)
