"""From overrides to a `Config`, through Hydra's public API. No other file composes configs."""

import itertools
import json
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, make_dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar, get_origin, get_type_hints

import hydra
import yaml
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, RangeSweep
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from normexp.config.choice import Choice, add_to_path
from normexp.config.names import did_you_mean, unknown
from normexp.config.schema import (
    CHOICES,
    CLASSES,
    GROUPS,
    LISTS,
    PRESETS,
    Config,
    configs_folder,
    from_dict,
    is_section,
    iter_keys,
)
from normexp.errors import ConfigError, Interrupted

# Hydra 1.3 falls back to old defaults without it; Hydra 1.4 deprecates it.
VERSION_BASE: dict[str, Any] = {"version_base": "1.3"} if hydra.__version__.startswith("1.3.") else {}
MOST_VALUES = 100_000  # of one swept key
_INTEGER = re.compile(r"""['"]?\s*[+-]?[\d_]+\s*['"]?""")
EXPERIMENT = "experiment"  # a group of the user's folders; its files set keys of the whole config and may have a grid
_TYPES = {"Integer": "a whole number", "Float": "a number", "Boolean": "true or false"}


class UserFolders(SearchPathPlugin):
    """Puts the folders of --config-dir in front of the package's own configs."""

    folders: ClassVar[Sequence[str]] = ()

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for folder in self.folders:
            search_path.prepend("normexp", f"file://{folder}")


Plugins.instance().register(UserFolders)


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


class Composer:
    """Hydra, opened on the package's configs with the user's folders in front of them.

    command: train, sweep or probe, the config that composition starts from.
    Raises ConfigError for a folder that cannot be read. One composer is open at a time, because Hydra is global.
    """

    def __init__(self, command: str, config_dirs: Sequence[str] = ()) -> None:
        self.command, self.config_dirs = command, tuple(_readable(folder) for folder in config_dirs)
        add_to_path(self.config_dirs)
        self._nodes: dict[str, dict[str, Any]] = {}  # of the groups whose choices were asked for
        self._hydra = lru_cache(maxsize=4)(self._ask_hydra)  # a plan needs some configs twice
        self._open()

    def _open(self) -> None:
        GlobalHydra.instance().clear()
        UserFolders.folders = self.config_dirs
        hydra.initialize_config_dir(str(configs_folder()), job_name="normexp", **VERSION_BASE)
        self._loader = GlobalHydra.instance().config_loader()

    def options(self, group: str) -> list[str]:
        """The names that a config group offers."""
        return self._loader.get_group_options(group)

    def parse(self, overrides: Iterable[str]) -> list[Request]:
        """The overrides as Hydra reads them. Raises ConfigError for a key or a choice that does not exist."""
        return [self._request(text) for text in overrides]

    def _request(self, text: str) -> Request:
        if text.endswith(","):
            raise ConfigError(f"{text} must not end in a comma; a list of values has no spaces, as in depth=6,12")
        if "=" not in text:
            raise ConfigError(f"{text} must be KEY=VALUE, for example depth=6")
        try:
            (override,) = OverridesParser.create(config_loader=self._loader).parse_overrides([text])
            swept = override.is_sweep_override()
            if swept and not override.is_discrete_sweep():
                raise ConfigError(f"{text} must list its values, as in lr=1e-3,2e-3; it names an interval")
            _check_count(override, text)
            listed = override.sweep_string_iterator() if swept else iter([override.get_value_element_as_str()])
            values = tuple(itertools.islice(listed, MOST_VALUES + 1))
        except HydraException as error:
            raise ConfigError(f"{text} cannot be read: {_sentence(error)}") from error
        if not values:
            raise ConfigError(f"{text} must have at least one value; it has none")
        if len(values) > MOST_VALUES:
            raise ConfigError(f"{text} must have at most {MOST_VALUES:,} values")
        self._check_key(override, text)
        _check_truth(override.get_key_element().lstrip("+~"), values)
        elements = tuple(override.sweep_iterator()) if swept else (override.value(),)
        key = override.get_key_element()
        name = key.lstrip("+~")
        return Request(text, name, values, swept, key[: len(key) - len(name)], elements)

    def _check_key(self, override: Override, text: str) -> None:
        key = override.get_key_element().lstrip("+~")
        group = key.partition(".")[0]
        keys = [name for name, _ in iter_keys()] + [*CHOICES]
        if key == "config_dirs":
            raise ConfigError("config_dirs cannot be set as a key; use --config-dir DIR")
        if key == EXPERIMENT:
            self._check_experiment(override, text)
        elif group.partition("/")[0] != "hydra" and key not in keys and group not in (*CLASSES, *LISTS.values()):
            raise ConfigError(f"{key} is not a key{did_you_mean(key, keys)}")
        if key in CHOICES or "/" in key:
            values = override.sweep_iterator() if override.is_sweep_override() else [override.value()]
            options = self.options(key)
            for value in (str(each) for one in values for each in (one if isinstance(one, list) else [one])):
                if value not in options:
                    raise ConfigError(unknown(key, value, options))

    def _check_experiment(self, override: Override, text: str) -> None:
        names = self.options(EXPERIMENT)
        if not names:
            raise ConfigError(f"{text} needs --config-dir DIR, a folder with {EXPERIMENT}/NAME.yaml")
        name = override.value()
        if override.is_sweep_override() or not isinstance(name, str):
            raise ConfigError(f"{EXPERIMENT} must be one name; got {text.partition('=')[2]}")
        if name not in names:
            raise ConfigError(unknown(EXPERIMENT, name, names))

    def defaults(self, requests: Sequence[Request] = ()) -> dict[str, str]:
        """What is swept if the user does not set it, by key: hydra.sweeper.params in the command's YAML.

        If the requests name an experiment: the grid in its file instead, under grid or under hydra.sweeper.params.
        """
        own = self._compose([]).hydra.sweeper.params or {}
        chosen = [request.override(request.values[0]) for request in requests if request.key == EXPERIMENT]
        if not chosen:
            return {str(key): str(value) for key, value in own.items()}
        composed = self._compose(chosen)
        swept = {key: value for key, value in (composed.hydra.sweeper.params or {}).items() if own.get(key) != value}
        grid: Any = OmegaConf.to_container(composed.grid)
        return {str(key): _as_values(value) for key, value in {**swept, **grid}.items()}

    def compose(self, overrides: Sequence[str]) -> Config:
        """One config, its values typed and resolved. Raises ConfigError where Hydra refuses."""
        composed = self._compose(overrides)
        try:
            keys = [f.name for f in fields(Config)]
            values: Any = OmegaConf.to_container(OmegaConf.masked_copy(composed, keys), resolve=True)
        except OmegaConfBaseException as error:
            raise ConfigError(_sentence(error)) from error
        names = composed.hydra.runtime.choices
        for group in GROUPS:
            if isinstance(values[group], str):
                raise ConfigError(
                    f"{group}: {values[group]} cannot be set in a config file; choose it in the file's defaults list, "
                    f"as - override /{group}: {values[group]}"
                )
            if not isinstance(values[group], Mapping):
                raise ConfigError(f"{group}={names[group]}: its YAML needs a _target_ such as package.module.Class")
            values[group]["name"] = names[group]
        values |= {preset: names[preset] for preset in PRESETS}
        for group, held in LISTS.items():
            nodes = values[held] or {}
            for name, node in nodes.items():
                if "_target_" not in (node or {}):
                    raise ConfigError(f"{held}.{name} is set, but {group}=[…] does not name {name}")
            chosen = _chosen(group, overrides)
            values[held] = nodes if chosen is None else {name: nodes[name] for name in chosen}
        values["addon"] = dict(sorted(values["addon"].items()))  # in whichever order they were named, it is one run
        values["config_dirs"] = self.config_dirs
        values["results"] = str(Path(values["results"] or "results").absolute())
        return from_dict(values)

    @cached_property
    def default(self) -> Config:
        """The config without overrides."""
        return self.compose([])

    def choice(self, group: str, name: str) -> Choice:
        """One entry of a group that names classes, with its default options."""
        if group not in self._nodes:
            self._nodes[group] = self._alone(group, self.options(group))
        node = self._nodes[group].get(name) or self._alone(group, [name])[name]
        return Choice.of(group, {**node, "name": name} if isinstance(node, Mapping) else {"name": name})

    def independent(self, group: str, names: Sequence[str]) -> dict[str, Choice]:
        """The entries of a group whose files depend on no other key and set none; {} if Hydra refuses one of them."""
        nodes = self._alone(group, names)
        return {
            name: Choice.of(group, {**node, "name": name})
            for name, node in nodes.items()
            if isinstance(node, Mapping) and "_target_" in node and "${" not in str(node)
        }

    def _alone(self, group: str, names: Sequence[str]) -> dict[str, Any]:
        """What the YAMLs of these entries say, without the rest of the config.

        Several are composed together, which takes a tenth of the time; nothing is returned if one of them is refused,
        or sets a key of another group.
        """
        try:
            entries = tuple(f"+{group}@choices.c{place}={name}" for place, name in enumerate(names))
            composed = self._hydra(None, entries)
        except ConfigError:
            if len(names) > 1:
                return {}
            raise
        if len(names) > 1 and set(composed) - {"choices"}:
            return {}
        nodes: Any = OmegaConf.to_container(composed.get("choices") or OmegaConf.create())
        return {name: nodes.get(f"c{place}") for place, name in enumerate(names)}

    def _compose(self, overrides: Sequence[str]) -> DictConfig:
        return self._hydra(self.command, tuple(self._with_lists(overrides)))

    def _ask_hydra(self, name: str | None, overrides: tuple[str, ...]) -> DictConfig:
        if GlobalHydra.instance().hydra is None or GlobalHydra.instance().config_loader() is not self._loader:
            self._open()  # another composer has been opened since
        try:
            return hydra.compose(name, overrides=list(overrides), return_hydra_config=name is not None)
        except (HydraException, OmegaConfBaseException) as error:
            _raise_interrupt(error)
            raise ConfigError(_sentence(error)) from error
        except yaml.YAMLError as error:
            raise ConfigError(f"a config file is not valid YAML: {' '.join(str(error).split())}") from error

    @cached_property
    def _default_choices(self) -> list[str]:
        """The entries of the defaults list that no override has changed."""
        return [str(entry) for entry in self._compose([]).hydra.runtime.choices]

    def _with_lists(self, overrides: Sequence[str]) -> list[str]:
        """The overrides with probe=[a,b] as one entry of Hydra's defaults list for each probe; addon=[…] likewise.

        Hydra would merge the YAMLs of a group into one node, unless each of them named its own package in a header.
        """
        wanted = {group: names for group in LISTS if (names := _chosen(group, overrides)) is not None}
        if not wanted:
            return list(overrides)
        there = self._default_choices
        changes: list[str] = []
        for group, names in wanted.items():
            entry = f"{group}@{LISTS[group]}."  # how the defaults list names the node of a choice
            changes += [
                f"~{each}" for each in there if each.startswith(entry) and each.removeprefix(entry) not in names
            ]
            changes += [f"+{entry}{name}={name}" for name in names if entry + name not in there]
        return [*changes, *(text for text in overrides if text.partition("=")[0] not in wanted)]


def _as_values(value: Any) -> str:
    """The values of a key in a grid as the command line has them: a list, or text such as range(3) as it is."""
    if not isinstance(value, list | ListConfig):
        return str(value)
    return ",".join(each if isinstance(each, str) else json.dumps(each, default=list) for each in value)


def _chosen(group: str, overrides: Sequence[str]) -> list[str] | None:
    """What the last GROUP=[…] names, in its order; None if no override chooses."""
    for text in reversed(overrides):
        if text.startswith(f"{group}="):
            names = text.removeprefix(f"{group}=").strip("[]").split(",")
            return list(dict.fromkeys(name.strip() for name in names if name.strip()))
    return None


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
        raise ConfigError(f"{key} must be {_TYPES['Boolean']}; got {wrong[0]}")


@cache
def _composition_schema(section: type) -> type:
    """A section as OmegaConf needs it to compose: not frozen, lists for tuples, Any where a YAML names a class."""
    found: list[Any] = [("grid", dict[str, Any], field(default_factory=dict))] if section is Config else []
    kinds = get_type_hints(section)
    for f in fields(section):
        kind = kinds[f.name]
        if is_section(kind):
            inner = _composition_schema(kind)
            found.append((f.name, inner, field(default_factory=inner)))
        elif f.name in LISTS.values():
            found.append((f.name, Any, field(default_factory=dict)))
        elif get_origin(kind) is tuple:
            found.append((f.name, list[str], field(default_factory=list)))
        elif f.name != "name" or section is Config or section.__name__ == "Task":
            found.append((f.name, Any if kind is Choice else kind, field(default=f.default)))
    return make_dataclass(section.__name__, found)


# Where a YAML's relative paths start, written down, so that a run can be loaded from elsewhere.
OmegaConf.register_new_resolver("normexp.cwd", os.getcwd, replace=True)
# The hidden width at which a feed-forward with a gate has about the parameters of one that is 4 × width without it.
OmegaConf.register_new_resolver("normexp.gated_width", lambda width: 8 * max(1, round(width / 3)), replace=True)
ConfigStore.instance().store(name="schema", node=_composition_schema(Config))


def _readable(folder: str) -> str:
    path = Path(folder).absolute()
    if not path.is_dir() or not os.access(path, os.R_OK | os.X_OK):
        raise ConfigError(
            f"--config-dir must be a readable folder with configs such as variant/mine.yaml; got {folder}"
        )
    return str(path)


def _raise_interrupt(error: BaseException | None) -> None:
    """Raise the interrupt that led to an error: one that arrives inside OmegaConf can leave it as an AttributeError."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt | Interrupted):
            raise error
        error = error.__context__


def _sentence(error: BaseException) -> str:
    """Hydra's several lines as one sentence: the innermost reason, with the key that it is about."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    file = re.match(r"In '(.*)': \w+ raised while composing config:$", lines[0])
    if file and len(lines) > 1:
        return f"{file[1]}.yaml: {_reason(lines[1:], file[1].partition('/')[0])}"
    return _reason(lines)


def _reason(lines: Sequence[str], group: str = "") -> str:
    """The reason that these lines give. group: of the file that they are about, if it is one."""
    refused = re.compile(r"(?:mismatched|extraneous|no viable|token recognition).*?'(.*?)'(?: expecting|$)")
    if wrong := next(filter(None, map(refused.match, lines)), None):
        return "it ends too early" if wrong[1] == "<EOF>" else f"{wrong[1]} is not allowed there"
    key = next((line.partition(":")[2].strip() for line in lines if line.startswith("full_key:")), "")
    if wrong := re.match(r"Value '(.*)' of type '.*' could not be converted to (\w+)", lines[0]):
        return f"{key} must be {_TYPES.get(wrong[2], wrong[2])}; got {wrong[1] or 'nothing'}"
    if lines[0].startswith("LexerNoViableAltException"):
        return "a quotation mark or a backslash has no end"
    if re.match(r"Key '.*' (is )?not in ", lines[0]):
        section, dot, _ = key.partition(".")
        if section == group == EXPERIMENT:
            return "its first line must be # @package _global_"
        if dot:
            return f"{key} is not a key of this {section}"
        return f"{key} is not a key{did_you_mean(key, [name for name, _ in iter_keys()])}"
    return f"{key}: {lines[0]}" if key and key not in lines[0] else lines[0]
