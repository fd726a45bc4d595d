"""The lock of a run: one process holds it, and the system releases it when the process exits."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from normexp.records.reading import PLAIN, Damaged, check_file

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]


@contextmanager
def holding(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Blocks until no other process holds the lock; without `wait`, raises BlockingIOError if one does."""
    if fcntl is None:
        try:
            lock = FileLock(path, timeout=-1 if wait else 0).acquire()
        except Timeout as error:
            raise BlockingIOError(f"{path} is held by another process") from error
        with lock:
            yield
        return
    while True:
        with open(os.open(path, os.O_RDWR | os.O_CREAT | PLAIN, 0o666), "rb+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if not _is_at(path, file.fileno()):  # the folder was removed, perhaps made again, while we waited
                continue
            yield
            return


def _is_at(path: Path, file: int) -> bool:
    """Whether the open file is still the one with this name."""
    try:
        return os.path.samestat(os.fstat(file), os.lstat(path))
    except FileNotFoundError:
        return False


def is_held(path: Path) -> bool:
    """Whether a process holds the lock now.

    Two processes that ask at once do not see each other, for which a lock must be shared; filelock has none such.
    """
    try:
        check_file(path, 2**20)
        if fcntl is None:
            with FileLock(path, timeout=0):
                return False
        with open(os.open(path, os.O_RDONLY | PLAIN), "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (BlockingIOError, Timeout):
        return True
    except (Damaged, OSError):
        return False
    return False
