"""From overrides to a `Config`, through Hydra's public API. No other file composes configs."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any

import hydra
import yaml
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from normexp.config.choice import Choice, add_to_path
from normexp.config.hydra_errors import raise_interrupt, sentence
from normexp.config.hydra_setup import VERSION_BASE, UserFolders
from normexp.config.overrides import Request, read
from normexp.config.schema import (
    EXPERIMENT,
    GROUPS,
    LISTS,
    PRESETS,
    Config,
    configs_folder,
    from_dict,
)
from normexp.errors import ConfigError


class _Hydra:
    """Hydra, opened on the package's configs with the user's folders in front of them.

    One is open at a time, because Hydra is global. What was composed is remembered, since it takes 0.1 seconds.
    """

    def __init__(self, folders: tuple[str, ...]) -> None:
        self.folders = folders
        self.compose = lru_cache(maxsize=32)(self._compose)
        self._open()

    def _open(self) -> None:
        GlobalHydra.instance().clear()
        UserFolders.folders = self.folders
        hydra.initialize_config_dir(str(configs_folder()), job_name="normexp", **VERSION_BASE)
        self.loader = GlobalHydra.instance().config_loader()

    def _compose(self, name: str | None, overrides: tuple[str, ...]) -> DictConfig:
        """Not to be changed. Raises ConfigError where Hydra refuses."""
        if GlobalHydra.instance().hydra is None or GlobalHydra.instance().config_loader() is not self.loader:
            self._open()  # another one has been opened since
        try:
            return hydra.compose(name, overrides=list(overrides), return_hydra_config=name is not None)
        except (HydraException, OmegaConfBaseException) as error:
            raise_interrupt(error)
            raise ConfigError(sentence(error)) from error
        except yaml.YAMLError as error:
            raise ConfigError(f"a config file is not valid YAML: {' '.join(str(error).split())}") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"a config file is not text in UTF-8: {error}") from error


@cache
def _of_the_package() -> _Hydra:
    """For all composers without folders of the user, because the package's configs stay as they are."""
    return _Hydra(())


class Composer:
    """Composes the configs of a command.

    command: train, sweep or probe, the config that composition starts from. config_dirs: the user's folders.
    Raises ConfigError for a folder that cannot be read.
    """

    def __init__(self, command: str, config_dirs: Sequence[str] = ()) -> None:
        self.command, self.config_dirs = command, tuple(_readable(folder) for folder in config_dirs)
        add_to_path(self.config_dirs)
        self._nodes: dict[str, dict[str, Any]] = {}  # of the groups whose choices were asked for
        self._hydra = _Hydra(self.config_dirs) if self.config_dirs else _of_the_package()

    def options(self, group: str) -> list[str]:
        """The names that a config group offers."""
        return self._hydra.loader.get_group_options(group)

    def parse(self, overrides: Iterable[str]) -> list[Request]:
        """The overrides as Hydra reads them. Raises ConfigError for a key or a choice that does not exist."""
        return [read(text, self._hydra.loader) for text in overrides]

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
            raise ConfigError(sentence(error)) from error
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
            if not isinstance(nodes, Mapping):
                raise ConfigError(f"{held} must be set as {held}.NAME.OPTION=VALUE; got {nodes}")
            for name, node in nodes.items():
                if not isinstance(node or {}, Mapping):
                    raise ConfigError(f"{held}.{name} must be set as {held}.{name}.OPTION=VALUE; got {node}")
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
            composed = self._hydra.compose(None, entries)
        except ConfigError:
            if len(names) > 1:
                return {}
            raise
        if len(names) > 1 and set(composed) - {"choices"}:
            return {}
        nodes: Any = OmegaConf.to_container(composed.get("choices") or OmegaConf.create())
        return {name: nodes.get(f"c{place}") for place, name in enumerate(names)}

    def _compose(self, overrides: Sequence[str]) -> DictConfig:
        return self._hydra.compose(self.command, tuple(self._with_lists(overrides)))

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


def _readable(folder: str) -> str:
    path = Path(folder).absolute()
    if not path.is_dir() or not os.access(path, os.R_OK | os.X_OK):
        raise ConfigError(
            f"--config-dir must be a readable folder with configs such as variant/mine.yaml; got {folder}"
        )
    return str(path)
