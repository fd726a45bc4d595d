"""What can happen to a file of a run folder."""

import os
import random
from collections.abc import Callable
from pathlib import Path

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefghi", "bcdefghij", strict=True)
)


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def random_bytes(path: Path) -> None:
    path.write_bytes(random.Random(path.name).randbytes(max(200, path.stat().st_size)))


def flip_a_byte(path: Path) -> None:
    """One byte in the middle has another value; the size stays."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x15
    path.write_bytes(bytes(data))


def remove(path: Path) -> None:
    path.unlink()


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def link(path: Path) -> None:
    """A link to a file that must keep its content."""
    target = path.parents[2] / f"{path.parent.name}-{path.name}-target"
    path.rename(target)
    path.symlink_to(target)


def nested(path: Path) -> None:
    path.write_text("[" * 100_000)


def bomb(path: Path) -> None:
    path.write_text(BOMB)


def huge(path: Path) -> None:
    """A file of 8 TB that takes no space."""
    with path.open("wb") as file:
        file.truncate(2**43)


DAMAGES: dict[str, Callable[[Path], None]] = {
    each.__name__: each
    for each in (cut_in_half, empty, random_bytes, flip_a_byte, remove, fifo, folder, link, nested, bomb, huge)
}
