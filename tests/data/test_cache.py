"""The cache of prepared data: as a whole or not at all."""

import errno
import multiprocessing
import os
import time

import pytest

from normexp.data.cache import cache_folder, cached
from normexp.errors import ConfigError


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("NORMEXP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def write(folder, text="one"):
    (folder / "data").write_text(text)
    return {"said": text}


def test_what_is_there_is_not_written_again():
    folder, about = cached("key", write)
    assert (folder / "data").read_text() == about["said"] == "one"
    assert cached("key", lambda folder: write(folder, "two")) == (folder, about)
    assert cached("other", lambda folder: write(folder, "two"))[1]["said"] == "two"


@pytest.mark.parametrize("damage", [lambda path: path.write_text("o"), lambda path: path.unlink()])
@pytest.mark.parametrize("name", ["data", "about.json"])
def test_a_damaged_folder_is_written_again(name, damage):
    folder, _ = cached("key", write)
    damage(folder / name)
    again, about = cached("key", lambda folder: write(folder, "two"))
    assert (again / "data").read_text() == about["said"] == "two"


def test_an_error_leaves_nothing(root):
    def fail(folder):
        write(folder)
        raise KeyError("oops")

    with pytest.raises(KeyError):
        cached("key", fail)
    assert [path.name for path in root.iterdir() if not path.name.endswith(".lock")] == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG, errno.EROFS])
def test_a_full_disk_is_one_sentence_and_works_later(number, root):
    def fail(folder):
        write(folder)
        raise OSError(number, os.strerror(number))

    with pytest.raises(ConfigError, match=r"prepared data cannot be written to .*free some space.*NORMEXP_CACHE"):
        cached("key", fail)
    assert [path.name for path in root.iterdir() if not path.name.endswith(".lock")] == []
    assert cached("key", write)[1]["said"] == "one"


def test_what_a_killed_process_left_is_removed(root):
    (root / ".key.123.tmp").mkdir(parents=True)
    folder, _ = cached("key", write)
    assert sorted(path.name for path in root.iterdir()) == [".key.lock", folder.name]


def test_the_cache_is_where_the_user_wants_it(monkeypatch, tmp_path):
    monkeypatch.delenv("NORMEXP_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "normexp"


def test_a_file_in_the_place_of_the_cache_is_refused(root):
    root.write_text("")
    with pytest.raises(ConfigError, match="prepared data cannot be written to"):
        cached("key", write)


def _slow(folder):
    time.sleep(0.3)
    return write(folder, str(os.getpid()))


def _said(_):
    return cached("key", _slow)[1]["said"]


@pytest.mark.slow
def test_one_of_several_processes_writes(root):
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        assert len(set(pool.map(_said, range(3), chunksize=1))) == 1
