"""What makes two runs the same run, and what runs and sweeps are called."""

import ast
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from normexp.config.choice import Choice, named
from normexp.config.schema import CLASSES, GROUPS, PRESETS, Config, ignored_keys, iter_keys, to_dict, value_of

IDENTITY_VERSION = 2  # raise it when a change of ours alters what a config means, so that old results are not reused
_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]+")


def identity(config: Config) -> str:
    """sha256 over all that can change the run's tables: the config, the user's own sources, IDENTITY_VERSION.

    A file that the data is read from counts by its content, wherever it is (`Choice.contents`).
    """
    values = to_dict(config)
    later = (name for name, f in iter_keys() if f.metadata["later"] and value_of(config, name) == f.default)
    for name in (*ignored_keys(), *later):
        *path, last = name.split(".")
        section: Any = values
        for part in path:
            section = section[part]
        del section[last]
    for group in CLASSES:
        values[group] |= values[group].pop("_contents_", {})
    sources = user_sources(config.config_dirs, choices(config))
    text = json.dumps([IDENTITY_VERSION, values, sources], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def run_name(config: Config, swept: Sequence[str]) -> str:
    """post_ln-depth06-seed0-1a2b3c4d: the swept values, readable and sortable, then the identity's first digits.

    Where nothing is swept, the name starts with variant and depth.
    """
    parts = [name_part(key, value_of(config, key)) for key in swept or ("variant", "depth")]
    return "-".join([*parts, identity(config)[:8]])


def sweep_name(overrides: Iterable[str], swept: Sequence[str], config: Config) -> str:
    """A name that is a function of the command: the swept keys, then a digest of all overrides."""
    kept = sorted(text for text in overrides if not text.startswith(("hydra", "name=", "results=")))
    digest = hashlib.sha256(json.dumps([kept, list(config.config_dirs)]).encode()).hexdigest()[:6]
    return "-".join([slugify("-".join(swept)), config.task.name, digest])


def slugify(name: str) -> str:
    """The name with every character replaced that a shell, a URL or a file system might read in its own way."""
    return _UNSAFE.sub("-", name.replace("%", "pct")).strip("-.")


def choices(config: Config) -> list[Choice]:
    """The classes that decide what a run computes; probes only measure it."""
    return [value for value in vars(config).values() if isinstance(value, Choice)] + list(config.addon)


def user_sources(config_dirs: Sequence[str], chosen: Iterable[Choice]) -> dict[str, str]:
    """Source text of every module in the user's folders that these classes lead to, by file name.

    Follows imports, relative ones too, from module to module inside the folders, and includes the `__init__.py` of
    every package on the way. So editing any of these files gives the run a new identity.
    """
    found: dict[str, str] = {}
    todo = [choice.target.rpartition(".")[0] for choice in chosen] if config_dirs else []
    seen: set[str] = set()
    while todo:
        module = todo.pop()
        if module in seen:
            continue
        seen.add(module)
        if parent := module.rpartition(".")[0]:
            todo.append(parent)  # importing package.module runs package/__init__.py first
        for folder in map(Path, reversed(config_dirs)):  # the last one is searched first, for configs and modules
            stem = folder.joinpath(*module.split("."))
            for path, package in ((stem.with_suffix(".py"), parent), (stem / "__init__.py", module)):
                name = path.relative_to(folder).as_posix()
                if module and name not in found and path.is_file():
                    found[name] = path.read_text("utf-8", errors="replace")  # Python may know another encoding of it
                    todo += _imported(found[name], package)
    return dict(sorted(found.items()))


@cache
def _imported(source: str, package: str) -> tuple[str, ...]:
    """Every module that a source may import, by absolute name; names imported from a module count as modules too."""
    try:
        return tuple(_imports(ast.parse(source), package))
    except SyntaxError:
        return ()  # importing it fails with a better message


def _imports(tree: ast.AST, package: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:  # from . import x: one dot is the package itself, every further dot its parent
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" if base else alias.name for alias in node.names)


def name_part(key: str, value: Any) -> str:
    """What a run's name says of a key; the value of a group may be given by its name."""
    if key in (*GROUPS, *PRESETS, "addon"):
        return slugify(str(named(value)))
    number = f"{value:02d}" if isinstance(value, int) and not isinstance(value, bool) and key != "seed" else value
    return slugify(f"{key.rpartition('.')[2]}{number}")
