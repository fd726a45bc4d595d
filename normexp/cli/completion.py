"""What the shell offers on TAB: keys, names and studies. Only file names are read, so that it takes no time."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import typer

from normexp.config.schema import CHOICES, CLASSES, configs_folder, iter_keys

CONFIG_DIR = "NORMEXP_CONFIG_DIR"  # folders, separated as in PATH
EXPERIMENT = "experiment"
Offer = tuple[str, str]  # what is inserted, and its meaning where the shell shows one


def overrides(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Keys, and after `KEY=` the values that it offers; a list of values goes on after each comma.

    bash takes `=` for a word of its own: there the words before are KEY and =, and only the value is inserted.
    """
    folders = _folders(ctx)
    before = [str(word) for word in ctx.params.get("overrides") or ()]
    if before[-1:] == ["="]:
        before = before[:-1]
    if "=" not in incomplete and before and "=" not in before[-1] and _values(before[-1], folders):
        return _continued(before[-1], incomplete, folders)
    key, assigned, value = incomplete.partition("=")
    if assigned:
        return [(f"{key}={text}", meaning) for text, meaning in _continued(key, value, folders)]
    found = [(name, meaning) for name, meaning in _keys(folders) if name.startswith(incomplete)]
    if "." not in incomplete:  # nested keys only where no short one fits
        found = [offer for offer in found if "." not in offer[0]] or found
    if len(found) != 1:
        return [(f"{name}=", meaning) for name, meaning in found]
    # Several candidates with a common start, or the shell would put a space after the =.
    ((name, meaning),) = found
    return [(f"{name}=", meaning), *((f"{name}={value}", "") for value in _values(name, folders))]


def studies(ctx: typer.Context, incomplete: str) -> list[str]:
    """The names of the studies."""
    return [name for name in names("study", _folders(ctx)) if name.startswith(incomplete)]


def folders_of_environment() -> list[str]:
    """The folders that --config-dir names by default."""
    return [folder for folder in os.environ.get(CONFIG_DIR, "").split(os.pathsep) if folder]


def _folders(ctx: typer.Context) -> Sequence[str]:
    return ctx.params.get("config_dir") or folders_of_environment()


def _continued(key: str, value: str, folders: Sequence[str]) -> list[Offer]:
    """The values of a key, after those that the list already has: `pre_ln,po` → `pre_ln,post_ln`."""
    start, last = re.fullmatch(r"(\[?(?:[^,]*,)*\s*)([^,]*)", value).groups()  # type: ignore[union-attr]
    if not start and value.startswith("["):
        start, last = "[", value[1:]
    taken = re.split(r"[\[,\s]+", start)
    return [(start + name, "") for name in _values(key, folders) if name.startswith(last) and name not in taken]


def _values(key: str, folders: Sequence[str]) -> list[str]:
    """The names of a group, the allowed values of a key, or its default."""
    if key in (*CHOICES, EXPERIMENT):
        return names(key, folders)
    field = dict(iter_keys()).get(key)
    if field is None:
        return []
    if field.metadata.get("options"):
        return [str(option) for option in field.metadata["options"]]
    if isinstance(field.default, bool):
        return ["true", "false"]
    return [str(field.default)] if isinstance(field.default, int | float | str) and str(field.default) else []


def _keys(folders: Sequence[str]) -> Iterator[Offer]:
    """Every key with its meaning; groups, and the options of their classes as far as YAML files list them."""
    meanings = {name: str(field.metadata["help"]) for name, field in iter_keys()}
    yield from meanings.items()
    yield from ((group, "") for group in CHOICES if group not in meanings)
    if names(EXPERIMENT, folders):
        yield EXPERIMENT, "keys and grid of a file of yours"
    for group in CLASSES:
        options: dict[str, None] = {}
        for path in _files(group, folders):
            options |= dict.fromkeys(re.findall(r"^([a-z]\w*):", path.read_text("utf-8"), re.MULTILINE))
        yield from ((f"{group}.{option}", "") for option in options if option not in ("name", "defaults"))


def names(group: str, folders: Sequence[str] = ()) -> list[str]:
    """What a group offers: the names of its YAML files."""
    return sorted({path.stem for path in _files(group, folders)})


def _files(group: str, folders: Sequence[str]) -> Iterator[Path]:
    for folder in (configs_folder(), *map(Path, folders)):
        yield from sorted((folder / group).glob("*.yaml"))
