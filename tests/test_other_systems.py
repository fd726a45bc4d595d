"""Other systems, as far as this one can be like them: a C locale, a terminal of cp1252, no POSIX locks and signals."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}  # Python reads and writes ASCII
COMMAND = [sys.executable, "-m", "normexp"]
TINY = ["depth=1", "steps=2", "model.width=16", "model.feed_forward=16", "variant=pre_ln"]


WITHOUT_POSIX = """
import builtins, os, signal

there = builtins.__import__


def without_fcntl(name, globals=None, *rest, **more):
    if name == "fcntl" and (globals or {}).get("__name__", "").startswith(("normexp", "filelock")):
        raise ImportError(name)  # torch and datasets need it on this system
    return there(name, globals, *rest, **more)


builtins.__import__ = without_fcntl
for module, names in {os: ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "sysconf", "sysconf_names"),
                      signal: ("SIGHUP", "SIGCONT")}.items():
    for name in names:
        delattr(module, name)
"""


def environment(**more: str) -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key != "LC_CTYPE"} | {"PYTHONPATH": str(ROOT)} | more


@pytest.mark.slow
def test_a_run_in_a_c_locale(tmp_path: Path) -> None:
    def normexp(*words: str) -> str:
        command = [*COMMAND, *words]
        return subprocess.check_output(command, env=environment(**C_LOCALE), cwd=tmp_path, text=True, encoding="utf-8")

    assert "pre_ln · depth 1" in normexp("train", *TINY)
    assert "x ← x + F(LN(x))" in next(tmp_path.rglob("report.html")).read_text("utf-8")


@pytest.mark.slow
def test_a_terminal_without_arrows_shows_question_marks(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [*COMMAND, "show", *TINY]
    with subprocess.Popen(command, env=environment(PYTHONIOENCODING="cp1252"), cwd=tmp_path, stdout=theirs) as process:
        os.close(theirs)
        shown = b""
        while b"LN(" not in shown:
            shown += os.read(ours, 1024)
        os.close(ours)
        process.kill()
    assert "x ? x + F(LN(x))" in shown.decode("cp1252")


@pytest.mark.slow
def test_a_sweep_without_posix(tmp_path: Path) -> None:
    """Python imports sitecustomize when it starts, workers too."""
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_POSIX)
    paths = f"{ROOT}{os.pathsep}{tmp_path}"

    def normexp(*words: str) -> str:
        command = [*COMMAND, *words]
        return subprocess.check_output(command, env=environment(PYTHONPATH=paths), cwd=tmp_path, encoding="utf-8")

    for _ in range(2):  # the second time, its locks are there
        assert "2 stuck" in normexp("sweep", *TINY, "seed=0,1", "--name", "two")
    assert "cores" in normexp("doctor")
