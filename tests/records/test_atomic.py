"""A file is replaced as a whole or not at all, and what a killed process left is removed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from normexp.records.atomic import remove_leftovers, replacing
from tests.support import damage


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_at_the_end_of_the_block(tmp_path):
    path = tmp_path / "status.json"
    path.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names(tmp_path) == ["status.json"]


@pytest.mark.parametrize("error", [OSError("no space left on device"), KeyboardInterrupt()])
def test_a_fault_keeps_the_old_file_and_leaves_nothing(error, tmp_path):
    path = tmp_path / "status.json"
    path.write_text("old")

    def write_half(text: str) -> None:
        with replacing(path) as temporary:
            temporary.write_text(text[: len(text) // 2])
            raise error

    with pytest.raises(type(error)):
        write_half("new and longer")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["status.json"]


@pytest.mark.parametrize("what", [damage.folder, damage.fifo], ids=lambda what: what.__name__)
def test_what_is_no_file_is_replaced(what, tmp_path):
    path = tmp_path / "loss_curves.pdf"
    path.write_text("old")
    what(path)
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_a_link_is_replaced_and_its_target_kept(tmp_path):
    target, path = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    path.symlink_to(target)
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert (target.read_text(), path.read_text(), path.is_symlink()) == ("old", "new", False)


def test_a_folder_with_something_in_it_is_kept(tmp_path):
    (tmp_path / "figure.png" / "mine").mkdir(parents=True)
    with pytest.raises(OSError, match="not empty"), replacing(tmp_path / "figure.png") as temporary:
        temporary.write_text("new")
    assert names(tmp_path) == ["figure.png"]


def left_by(pid: int, folder: Path, age: float) -> str:
    """The temporary file of a process, last written `age` seconds ago."""
    path = folder / f".curves.parquet.{pid}.tmp"
    path.touch()
    then = path.stat().st_mtime - age
    os.utime(path, (then, then))
    return path.name


def test_only_leftovers_of_processes_that_ended_are_removed(tmp_path):
    """A process that lives may be writing, and so may one on another machine, for which the age decides."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    others = [left_by(os.getppid(), tmp_path, age=100), ".hidden", ".notes.x.tmp", "curves.parquet"]
    for name in others:
        (tmp_path / name).touch()
    left_by(ended.pid, tmp_path, age=100)
    left_by(os.getpid(), tmp_path, age=100)  # the number of a process that ended, given to this one
    remove_leftovers(tmp_path)
    assert names(tmp_path) == sorted(others)

    others.append(left_by(ended.pid, tmp_path, age=0))
    remove_leftovers(tmp_path)
    assert names(tmp_path) == sorted(others)
