"""Files that are replaced as a whole or not at all, whatever stops the process that writes them."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path to write to. It becomes `path` at the end of the block and is removed if the block raises.

    It takes the place of a link, a FIFO or an empty folder too. Raises OSError for a folder with something in it.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)  # it may be a link
    try:
        yield temporary
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of processes that were killed while they wrote. Call it with the run locked.

    Another process may still update the status, so a file stays while its process lives, or for a second: on a shared
    disk the process may live on another machine.
    """
    for path in folder.glob(".*.*.tmp"):
        with suppress(OSError, ValueError):  # gone meanwhile; not one of ours
            pid = int(path.suffixes[-2][1:])
            if (pid == os.getpid() or not is_alive(pid)) and time.time() - path.stat().st_mtime > 1:
                path.unlink()


def is_alive(pid: int) -> bool:
    """Whether a process of this machine has this number."""
    if os.name == "nt":
        return True  # there, signal 0 is Ctrl-C
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it exists and belongs to another user
        return True
    return True
