"""What Hydra has to know of normexp: folders of the user's own, the schema of its keys, and its resolvers."""

import os
from collections.abc import Sequence
from dataclasses import field, fields, make_dataclass
from functools import cache
from typing import Any, ClassVar, get_origin, get_type_hints

import hydra
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf

from normexp.config.choice import Choice
from normexp.config.schema import LISTS, Config, is_section

# Hydra 1.3 falls back to old defaults without it; Hydra 1.4 deprecates it.
VERSION_BASE: dict[str, Any] = {"version_base": "1.3"} if hydra.__version__.startswith("1.3.") else {}


class UserFolders(SearchPathPlugin):
    """Puts the folders of --config-dir in front of the package's own configs."""

    folders: ClassVar[Sequence[str]] = ()

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for folder in self.folders:
            search_path.prepend("normexp", f"file://{folder}")


Plugins.instance().register(UserFolders)


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
