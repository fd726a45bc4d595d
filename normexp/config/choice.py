"""A named class with its options: what a config group such as `variant=pre_ln` stands for."""

import importlib
import inspect
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, partial
from typing import Any

from normexp.config.limits import check_option
from normexp.errors import ConfigError

# What an option of an annotated type accepts.
_ACCEPTS: dict[Any, tuple[type, ...]] = {int: (int,), float: (int, float), str: (str,), bool: (bool,)}
_NOT_OPTIONS = ("name", "_target_", "_fingerprint_", "_pins_", "_contents_")
_WORDS: dict[Any, str] = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
# What the `_target_` of a group must be a subclass of. Corpora and schedules are functions.
_BASES = {
    "variant": "normexp.model.variant.Variant",
    "norm": "normexp.norms.norm.Norm",
    "init": "normexp.model.initialisers.Init",
    "optimizer": "torch.optim.Optimizer",
    "addon": "normexp.model.add_on.AddOn",
    "probes": "normexp.probes.probe.Probe",
}


@dataclass(frozen=True)
class Choice:
    """A class (or function) and the options that its YAML and the overrides give it.

    group: where it was chosen, such as variant or probes.stream; error messages start with it.
    name: the name of the YAML file. target: the dotted path of the class (`_target_`).
    options: arguments of the class by name, plain values.
    fingerprint: the dotted path of a function (`_fingerprint_`), for a class that reads files or the network.
    contents: what that function returned when the run was planned (`_contents_`).
    pins: the options that are replaced by their content when a run is planned (`_pins_`), such as a branch by a commit.
    """

    group: str
    name: str
    target: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    fingerprint: str = ""
    contents: Mapping[str, Any] = field(default_factory=dict)
    pins: Sequence[str] = ()

    @classmethod
    def of(cls, group: str, node: Any) -> "Choice":
        """From the plain values of a config node: `name`, `_target_`, the options, and what `node` adds to them."""
        node = node if isinstance(node, Mapping) else {}
        name, target, fingerprint = (str(node.get(key) or "") for key in ("name", "_target_", "_fingerprint_"))
        options = {str(key): value for key, value in node.items() if key not in _NOT_OPTIONS}
        return cls(group, name, target, options, fingerprint, node.get("_contents_") or {}, node.get("_pins_") or ())

    @property
    def node(self) -> dict[str, Any]:
        """The config node again, without the name."""
        more = {"_fingerprint_": self.fingerprint, "_pins_": list(self.pins), "_contents_": dict(self.contents)}
        return {"_target_": self.target, **{key: value for key, value in more.items() if value}, **self.options}

    def current_contents(self) -> dict[str, Any]:
        """What the options lead to outside the config: the sha256 of a file by the option that names it.

        The function of `_fingerprint_` takes all options and returns those to replace in the run's identity. It is
        called in every planning, so its module must import nothing heavy.
        """
        return dict(_import(self, self.fingerprint)(**self.options)) if self.fingerprint else {}

    def planned(self) -> "Choice":
        """With its contents as they are now, and the options pinned that can be."""
        contents = self.current_contents()
        return replace(self, contents=contents, options={**self.options, **{key: contents[key] for key in self.pins}})

    @cached_property
    def _key(self) -> tuple[str, ...]:
        options = json.dumps(self.options, sort_keys=True, default=str)
        contents = json.dumps(self.contents, sort_keys=True, default=str)
        return self.group, self.name, self.target, self.fingerprint, options, contents

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def text(self) -> str:
        """The choice as an override: variant=pre_ln."""
        group = {"probes": "probe", "addon": "addon"}.get(self.group.partition(".")[0], self.group)
        return f"{group}={self.name or '?'}"

    @property
    def cls(self) -> Any:
        """The class or function itself. Raises ConfigError if it cannot be imported."""
        return _import(self, self.target)

    @property
    def factory(self) -> Callable[..., Any]:
        """The class with its options filled in; call it with the remaining arguments.

        Raises ConfigError for an option that the class does not have or whose type is wrong.
        """
        return _factory(self, self.cls)

    def build(self, *args: Any, **more: Any) -> Any:
        """An instance. Raises ConfigError as `factory` does."""
        return self.factory(*args, **more)


def _import(choice: Choice, path: str) -> Any:
    module, _, name = path.rpartition(".")
    if not module:
        raise ConfigError(f"{choice.text}: its YAML needs a _target_ such as package.module.Class")
    try:
        found = getattr(importlib.import_module(module), name)
    except Exception as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise ConfigError(f"{choice.text}: cannot import {path} ({reason})") from error
    if path == choice.target:
        _check_kind(choice, found)
    return found


def _check_kind(choice: Choice, found: Any) -> None:
    """Raise ConfigError if a `_target_` is not what its group expects."""
    base = _BASES.get(choice.group.partition(".")[0], "")
    if base and not (isinstance(found, type) and issubclass(found, _named(base))):
        raise ConfigError(f"{choice.text}: _target_ must be a subclass of {base}; got {choice.target}")
    if choice.group == "data" and "Corpus" not in str(getattr(found, "__annotations__", {}).get("return", "")):
        raise ConfigError(
            f"{choice.text}: _target_ must be a function that states that it returns a Corpus; got {choice.target}"
        )
    if choice.group == "schedule" and not (inspect.isfunction(found) or isinstance(found, type)):
        raise ConfigError(f"{choice.text}: _target_ must be a function or a class; got {choice.target}")


@cache
def _named(path: str) -> type:
    module, _, name = path.rpartition(".")
    found: type = getattr(importlib.import_module(module), name)
    return found


@cache
def _factory(choice: Choice, target: Any) -> Callable[..., Any]:
    parameters = inspect.signature(target).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for key, value in choice.options.items():
        if key not in parameters and not takes_any:
            raise ConfigError(f"{choice.group}.{key} is not an option of {choice.text}{_offered(target)}")
        wanted = parameters[key].annotation if key in parameters else None
        if wanted in _ACCEPTS and type(value) not in _ACCEPTS[wanted]:
            raise ConfigError(f"{choice.group}.{key} must be {_WORDS[wanted]}; got {value}")
        check_option(f"{choice.group}.{key}", value, getattr(target, "limits", {}))
    return partial(target, **choice.options)


def _offered(target: Any) -> str:
    """The options that a class has, as the end of an error message."""
    options = [
        name
        for name, parameter in inspect.signature(target).parameters.items()
        if parameter.default is not parameter.empty and parameter.kind is not parameter.VAR_POSITIONAL
    ]
    return f"; it has {', '.join(options)}" if options else ", which has no options"


def add_to_path(folders: Sequence[str]) -> None:
    """Let `_target_` name classes in the user's own config folders."""
    for folder in folders:
        if folder not in sys.path:
            sys.path.insert(0, folder)


def named(value: Any) -> Any:
    """A value of a config as run names and tables have it: a choice by its name, add-ons by theirs, others as is."""
    if isinstance(value, tuple):
        return "+".join(each.name for each in value) or "no_addon"
    return value.name if isinstance(value, Choice) else value
