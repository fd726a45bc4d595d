"""The class that a config group names with `_target_`, together with its options."""

import ast
import importlib
import inspect
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from normexp.errors import ConfigError

_NUMBERS = {int: (int,), float: (int, float), str: (str,), bool: (bool,)}


def locate(group: str, node: dict[str, Any]) -> Any:
    """The class or function that `node` names.

    Raises ConfigError naming the group when it cannot be imported or found.
    """
    module, _, name = str(node.get("_target_", "")).rpartition(".")
    if not module:
        raise ConfigError(f"{group}={node.get('name', '?')}: its YAML needs a _target_ such as package.module.Class")
    try:
        return getattr(importlib.import_module(module), name)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise ConfigError(f"{group}={node['name']}: {module}.{name} cannot be imported ({reason})") from error


def maker(group: str, node: dict[str, Any]) -> Callable[..., Any]:
    """The class of `node` with its options filled in; call it with what the options leave open.

    Raises ConfigError for an option that the class does not take or whose type is wrong.
    """
    target = locate(group, node)
    options = {k: v for k, v in node.items() if k not in ("_target_", "name")}
    parameters = inspect.signature(target).parameters
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for key, value in options.items():
        if key not in parameters and not open_ended:
            raise ConfigError(f"{group}.{key} is no option of {group}={node['name']}")
        wanted = parameters[key].annotation if key in parameters else None
        if wanted in _NUMBERS and (type(value) not in _NUMBERS[wanted]):
            raise ConfigError(f"{group}.{key}={value}: a value of type {wanted.__name__} is right")
    return partial(target, **options)


def import_from(folders: list[str]) -> None:
    """Let `_target_` name classes that live in the user's own config folders."""
    for folder in folders:
        if folder not in sys.path:
            sys.path.insert(0, folder)


def user_sources(config: dict[str, Any], part: str = "") -> dict[str, str]:
    """Source text of every module of the user's that this config (or one part of it) leads to, by file name.

    Follows `import x` and `from x import y` from module to module inside the user's folders, so that editing
    any of them gives the run a new identity.
    """
    folders = [Path(f) for f in config["config_dirs"]]
    found: dict[str, str] = {}

    def visit(module: str) -> None:
        for folder in folders:
            stem = folder.joinpath(*module.split("."))
            for path in (stem.with_suffix(".py"), stem / "__init__.py"):
                name = path.relative_to(folder).as_posix()
                if name in found or not path.is_file():
                    continue
                found[name] = path.read_text()
                for node in ast.walk(ast.parse(found[name])):
                    if isinstance(node, ast.Import):
                        for alias in node.names:
                            visit(alias.name)
                    elif isinstance(node, ast.ImportFrom) and node.module:
                        visit(node.module)
                        for alias in node.names:
                            visit(f"{node.module}.{alias.name}")

    for node in (config[part] if part else config).values():
        if isinstance(node, dict) and "_target_" in node:
            visit(str(node["_target_"]).rpartition(".")[0])
    return dict(sorted(found.items()))
