"""What the options of `data=files` lead to, as digests: a changed file is another run, a renamed one is not.

It imports the standard library alone, because every planning calls it.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from normexp.errors import ConfigError

Paths = str | Sequence[str]  # a file, a folder, or two files whose lines belong together
FORMATS = {
    "csv": "csv", "tsv": "tsv", "tab": "tsv", "jsonl": "jsonl", "ndjson": "jsonl", "json": "jsonl",
    "parquet": "parquet", "txt": "text",
}  # fmt: skip  # by suffix; any other is text
SPLIT_NAMES = {"validation": "valid", "dev": "valid", "val": "valid"}  # of files and saved tables, to ours
SAVED = ("dataset_dict.json", "dataset_info.json")  # one of them is in a folder that `datasets` saved


def fingerprint(
    path: Paths, folder: str = "", valid: Paths = "", test: Paths = "", tokens: str = "", **options: Any
) -> dict[str, Any]:
    """The options that name files, with the sha256 of what these hold, and `folder` empty.

    Raises ConfigError for a path that does not exist or cannot be read.
    """
    given = {"path": path, "valid": valid, "test": test}
    found: dict[str, Any] = {
        key: digest(key, paths, folder) for key, paths in given.items() if key == "path" or paths not in ("", None)
    }
    if tokens.endswith(".json"):
        found["tokens"] = digest("tokens", tokens, folder)
    return {**found, "folder": ""}


def digest(key: str, paths: Paths, folder: str) -> str | list[str]:
    """Suffix and sha256 of a file, such as tsv:1a2b…, of each of several files, or of all that is read of a folder.

    key: of the config, for messages. folder: where relative paths start.
    """
    if isinstance(paths, list | tuple) and all(isinstance(each, str) for each in paths):
        return [str(digest(key, each, folder)) for each in paths]
    if not isinstance(paths, str):
        raise ConfigError(
            f"data.{key} must be a path, or a list of two; got {paths!r}"
            + (f"; write a number in quotes, as in 'data.{key}=\"2024\"'" if paths else "")
        )
    path = located(key, paths, folder)
    try:
        if path.is_dir():
            inside = sorted(_read_of(path))
            lines = [f"{each.relative_to(path).as_posix()} {_sha256(each)}" for each in inside]
            return f"folder:{hashlib.sha256(chr(10).join(lines).encode()).hexdigest()}"
        return f"{path.suffix.lstrip('.')}:{_sha256(path)}"
    except OSError as error:
        raise unreadable(key, path, error) from error


def _read_of(folder: Path) -> Iterator[Path]:
    """The files of a folder that can be read: all that `datasets` saved, else those that have the name of a split."""
    if any((folder / name).is_file() for name in SAVED):
        yield from (each for each in folder.rglob("*") if each.is_file() and not each.name.startswith("."))
        return
    names = {"train", "valid", "test", *SPLIT_NAMES}
    yield from (each for each in folder.iterdir() if each.name.partition(".")[0] in names and each.is_file())


def located(key: str, path: str, folder: str) -> Path:
    """The path of a file or a folder that exists. Raises ConfigError if it is neither."""
    if not path:
        raise ConfigError(f"data.{key} must name a file or folder, for example data.{key}=pairs.tsv; got nothing")
    found = Path(folder, Path(path).expanduser())
    try:
        if found.is_file() or found.is_dir():
            return found
    except (OSError, ValueError):  # too long a name, a NUL character
        pass
    raise ConfigError(f"data.{key} must be an existing file or folder; got {path}")


def unreadable(key: str, path: Path, error: OSError) -> ConfigError:
    """The error to raise where a file cannot be read."""
    return ConfigError(f"data.{key} must be a file that can be read; got {path} ({error.strerror or error})")


def _sha256(path: Path) -> str:
    known = os.stat(path)
    return _content(str(path), known.st_size, known.st_mtime_ns, known.st_ino)


@lru_cache(maxsize=10_000)
def _content(path: str, size: int, modified: int, inode: int) -> str:
    """sha256 of a file, once per process while size and time of change stay the same."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
