"""Prepared data, once per machine: folders that are there as a whole or not at all, whoever writes them at once."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock

from normexp.errors import ConfigError

ABOUT = "about.json"


def cache_folder() -> Path:
    """NORMEXP_CACHE, or normexp in the user's cache folder."""
    if own := os.environ.get("NORMEXP_CACHE"):
        return Path(own).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser().absolute() / "normexp"


def cached(key: str, write: Callable[[Path], dict[str, Any]]) -> tuple[Path, dict[str, Any]]:
    """The folder of this key in the cache, and what is known of it; `write` fills it if it is not there or damaged.

    write: fills a temporary folder and returns what to know of it, plain values. Of several processes that want the
    same key, one writes and the others wait. A process that is killed leaves nothing that another one reads.

    Raises ConfigError if the cache cannot be written to.
    """
    root = cache_folder()
    try:
        root.mkdir(parents=True, exist_ok=True)
        if about := _about(root / key):
            return root / key, about
        with FileLock(root / f".{key}.lock"):
            if about := _about(root / key):
                return root / key, about
            for leftover in (*root.glob(f".{key}.*.tmp"), root / key):
                shutil.rmtree(leftover, ignore_errors=True)
            return root / key, _written(root, key, write)
    except OSError as error:
        if error.errno not in (
            errno.ENOSPC,
            errno.EDQUOT,
            errno.EFBIG,
            errno.EACCES,
            errno.EPERM,
            errno.EROFS,
            errno.ENOTDIR,
            errno.EEXIST,
        ):
            raise
        raise ConfigError(
            f"prepared data cannot be written to {root} ({error.strerror or error}); free some space there, or set the "
            "environment variable NORMEXP_CACHE to another folder"
        ) from error


def _written(root: Path, key: str, write: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    temporary = root / f".{key}.{os.getpid()}.tmp"
    temporary.mkdir()
    try:
        known = write(temporary)
        sizes = {path.name: path.stat().st_size for path in sorted(temporary.iterdir())}
        about = {"files": sizes, **known}
        (temporary / ABOUT).write_text(json.dumps(about, ensure_ascii=False, indent=1), encoding="utf-8")
        os.replace(temporary, root / key)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return about


def _about(folder: Path) -> dict[str, Any] | None:
    """What is known of a folder; None if it is not there or not as it was written."""
    try:
        about: dict[str, Any] = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        complete = all((folder / name).stat().st_size == size for name, size in about["files"].items())
    except (FileNotFoundError, ValueError, KeyError, AttributeError):
        return None
    return about if complete else None
