"""Whether a run's files hold what was written to them: their sizes, times and digests, in files.json.

Parquet files and checkpoints have no check sum of their own, so a damaged one might be read without an error and
continue to other numbers.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from normexp.records.atomic import replacing
from normexp.records.reading import Damaged, check_file, read_json

NAME = "files.json"
LARGEST = 2**36  # bytes of a file
HOPELESS = "it cannot be repaired"  # in the error of a run that repairing has marked as failed


@contextmanager
def sealing(path: Path) -> Iterator[Path]:
    """Like `replacing`; the digest of the new file is recorded before the file takes the place of the old one.

    The record keeps the digest of the old file too, because the process may be killed between these two steps.
    """
    with replacing(path) as temporary:
        yield temporary
        folder = path.parent
        try:
            seals = read_seals(folder)
        except Damaged:
            seals = {}
        seals[path.name] = [*seals.get(path.name, [])[-1:], _seal(temporary)]
        with replacing(folder / NAME) as record:
            record.write_text(json.dumps(seals), "utf-8")


def keep(folder: Path, name: str) -> None:
    """Forget what is recorded of all files but this one."""
    try:
        seals = {key: value for key, value in read_seals(folder).items() if key == name}
    except Damaged:
        seals = {}
    with replacing(folder / NAME) as record:
        record.write_text(json.dumps(seals), "utf-8")


def read_seals(folder: Path) -> dict[str, list[Any]]:
    """What is recorded of each file: [size, time of the last change, sha256], the newest last; {} if nothing is.

    Raises Damaged.
    """
    path = folder / NAME
    if not os.path.lexists(path):
        return {}
    seals = read_json(path)
    entries = seals.values() if isinstance(seals, dict) else [None]
    if not all(isinstance(each, list) and each and all(map(_is_seal, each)) for each in entries):
        raise Damaged(path, "is not a record of files")
    return dict(seals)


def check_intact(folder: Path, names: Iterable[str], *, thorough: bool = False, known: bool = False) -> None:
    """Raise Damaged for the first of these files that is missing or is not what was written.

    A file with the recorded size and time is taken for intact, unless `thorough`; one with another time, such as a
    copy, is read. A file without a record only has to exist, and with `known` not even that.
    """
    seals = read_seals(folder)
    for name in names:
        if known and name not in seals:
            continue
        path = folder / name
        check_file(path, LARGEST)
        if not (written := seals.get(name, [])):
            continue
        found = os.lstat(path)
        if not thorough and any(seal[:2] == [found.st_size, found.st_mtime_ns] for seal in written):
            continue
        if not any(seal[0] == found.st_size for seal in written):
            raise Damaged(path, f"has {found.st_size:,} bytes, not what was written")
        digest = _digest(path)
        if not any(seal[2] == digest for seal in written):
            raise Damaged(path, "does not hold what was written")


def _is_seal(seal: Any) -> bool:
    return isinstance(seal, list) and list(map(type, seal)) == [int, int, str]


def _seal(path: Path) -> list[Any]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns, _digest(path)]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
