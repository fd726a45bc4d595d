"""Reading files that anything may have written: regular files only, bounded in size, depth and meaning.

A run folder may be cut short by a full disk, edited by hand or come from somebody else. So whatever is wrong with a
file is one error, `Damaged`, and nothing that it holds can take the reader's time, memory or terminal.
"""

import functools
import json
import operator
import os
import re
import stat
from pathlib import Path
from typing import Any

import yaml

MEGABYTE = 2**20
DEEPEST = 32  # levels of nested lists and mappings
LONGEST_TEXT = 2000  # characters that are shown of a value
LONGEST_REMEMBERED = 4000  # characters of a part of a YAML file that is parsed once
# The C parser, where PyYAML has it, is ten times faster on a large sweep.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Open no link, and wait for no writer should a FIFO take the file's place; as far as the system has these flags.
_FLAGS = ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY")
PLAIN = functools.reduce(operator.or_, (getattr(os, name, 0) for name in _FLAGS))
_TOP_LEVEL_KEY = re.compile(r"^(?=[^\s#\-])", re.MULTILINE)
# Control characters, which a terminal may obey, and the marks that change the direction of text.
_INVISIBLE = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


class Damaged(ValueError):
    """A file cannot be used; the message starts with its name."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(f"{visible(path.name)} {what}")


def visible(text: str) -> str:
    """Text with escapes for everything that a terminal or a spreadsheet would not show as a character."""
    if text.isprintable():  # nearly always, and quick to see
        return text
    return _INVISIBLE.sub(lambda found: found[0].encode("unicode_escape", "backslashreplace").decode(), text)


def plain(value: Any) -> Any:
    """A value as it may be shown: text without control characters and not endless, other kinds as they are."""
    if not isinstance(value, str):
        return value
    return visible(value if len(value) <= LONGEST_TEXT else f"{value[:LONGEST_TEXT]}…")


def check_file(path: Path, most: int) -> None:
    """Raise Damaged unless `path` is a regular file, no link, of at most so many bytes."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        raise Damaged(path, "is missing") from None
    except OSError as error:
        raise Damaged(path, f"cannot be read ({error.strerror})") from error
    if not stat.S_ISREG(found.st_mode):
        raise Damaged(path, "is not a regular file")
    if found.st_size > most:
        raise Damaged(path, f"has {found.st_size:,} bytes, more than the {most:,} that it may have")


def read_bytes(path: Path, most: int) -> bytes:
    """What a regular file of at most `most` bytes holds. Raises Damaged for anything else."""
    check_file(path, most)
    try:
        with open(os.open(path, os.O_RDONLY | PLAIN), "rb") as file:
            return file.read(most)
    except OSError as error:
        raise Damaged(path, f"cannot be read ({error.strerror})") from error


def read_json(path: Path, most: int = MEGABYTE) -> Any:
    """A JSON file's value. Raises Damaged."""
    data = read_bytes(path, most)
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Damaged(path, "is empty" if not data else "is not valid JSON") from error


def read_sweep(folder: Path) -> dict[str, Any]:
    """What the sweep.json of a folder says; {} where there is none or it cannot be used."""
    try:
        found = read_json(folder / "sweep.json", 64 * MEGABYTE)
    except Damaged:
        return {}
    return found if isinstance(found, dict) else {}


def read_yaml(path: Path, most: int = MEGABYTE // 4) -> dict[str, Any]:
    """A YAML file's mapping, of plain values. Raises Damaged, also for anchors and deep nesting."""
    try:
        values = parse_yaml(read_bytes(path, most).decode())
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, Damaged):
            raise
        raise Damaged(path, "is not valid YAML") from error
    if not values:
        raise Damaged(path, "is empty")
    return values


def parse_yaml(text: str) -> dict[str, Any]:
    """The mapping that a text holds.

    The configs of a sweep differ in a few keys, and parsing takes milliseconds. So every top-level key is parsed with
    what belongs to it, once per different text. Raises ValueError or YAMLError.
    """
    blocks = [block for block in _TOP_LEVEL_KEY.split(text) if block.strip()]
    try:
        parts = [_parsed(block) for block in blocks]
        if all(isinstance(part, dict) and len(part) == 1 for part in parts):
            return {str(key): value for part in parts for key, value in part.items()}
    except yaml.YAMLError:
        pass  # a text over several lines, perhaps
    whole = _parsed(text)
    if not isinstance(whole, dict):
        raise ValueError("not a mapping")
    return {str(key): value for key, value in whole.items()}


def _parsed(text: str) -> Any:
    """One YAML document. Its lists and mappings are shared between callers, which must not change them."""
    return _remembered(text) if len(text) < LONGEST_REMEMBERED else _loaded(text)


@functools.lru_cache(maxsize=4096)
def _remembered(text: str) -> Any:
    return _loaded(text)


def _loaded(text: str) -> Any:
    depth = 0
    for event in yaml.parse(text, Loader=LOADER):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError("aliases are not allowed")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise ValueError(f"nested more than {DEEPEST} levels deep")
    return yaml.load(text, Loader=LOADER)
