"""Where a run comes from, as far as git knows it."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from normexp.records import provenance


def git(checkout: Path, *words: str) -> None:
    who = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org")
    ours = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    command = ["git", "-C", str(checkout), *who, *words]
    subprocess.run(command, check=True, capture_output=True, env=ours | {"GIT_CONFIG_GLOBAL": os.devnull})


@pytest.fixture
def checkout(tmp_path, monkeypatch) -> Path:
    """A checkout that holds the package, with one commit."""
    module = tmp_path / "checkout/normexp/records/provenance.py"
    module.parent.mkdir(parents=True)
    module.write_text("one = 1\n")
    checkout = tmp_path / "checkout"
    git(checkout, "init")
    git(checkout, "add", ".")
    git(checkout, "commit", "-m", "first")
    monkeypatch.setattr(provenance, "__file__", str(module))
    return checkout


def origin(run: Path) -> dict | None:
    """What a report says of a run that starts now."""
    run.mkdir(exist_ok=True)
    (run / "provenance.json").write_text(json.dumps([{"git": provenance._git()}]))
    (found,) = provenance.origins([run])
    return found["git"]


def test_a_checkout_is_clean_until_a_module_changes(checkout, tmp_path):
    (checkout / "notes.txt").write_text("of no run")
    assert origin(tmp_path / "run")["clean"] is True
    (checkout / "normexp/records/provenance.py").write_text("one = 2\n")
    assert origin(tmp_path / "run")["clean"] is False
    assert provenance._git()["diff"].startswith(" M normexp/records/provenance.py\ndiff --git ")
    assert provenance._git()["diff"].endswith("\n-one = 1\n+one = 2")


def test_a_module_that_git_does_not_track_is_a_change(checkout, tmp_path):
    """Whatever the user has set for `git status`."""
    git(checkout, "config", "status.showUntrackedFiles", "no")
    (checkout / "normexp/more").mkdir()
    (checkout / "normexp/more/new.py").touch()
    assert provenance._git()["diff"] == "?? normexp/more/"
    found = origin(tmp_path / "run")
    assert (len(found["commit"]), found["clean"]) == (40, False)


def test_without_a_git_program_there_is_no_commit(checkout, tmp_path, monkeypatch):
    """As in a container of Python's, which has the checkout alone."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert origin(tmp_path / "run") is None


def test_where_git_refuses_there_is_no_commit(checkout, tmp_path):
    """As in a checkout of another user."""
    (checkout / ".git/HEAD").write_text("nothing that git reads")
    assert provenance._git() is None
    earlier = tmp_path / "earlier"
    earlier.mkdir()
    (earlier / "provenance.json").write_text('[{"git": {"commit": "", "diff": ""}}]')
    assert [each["git"] for each in provenance.origins([earlier])] == [None]
