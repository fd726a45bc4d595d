"""What TAB completes, through the shells' own protocols and in a real bash."""

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

BASH = shutil.which("bash")
SCRIPT = "from normexp.__main__ import main\nmain()\n"


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `normexp` in a folder of its own, as an installation puts it on the path."""
    path = tmp_path_factory.mktemp("bin") / "normexp"
    path.write_text(f"#!{sys.executable}\n{SCRIPT}")
    path.chmod(0o755)
    return path


def environment(command: Path, **more: str) -> dict[str, str]:
    root = str(Path(__file__).parents[1])
    path = f"{command.parent}{os.pathsep}{os.environ['PATH']}"
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("COMP_", "_NORMEXP"))}
    return kept | {"PATH": path, "PYTHONPATH": root, "PS1": "> ", "INPUTRC": os.devnull, **more}


def in_bash(command: Path, words: list[str]) -> list[str]:
    """The candidates when bash has split the line into these words; it takes = for a word of its own."""
    asked = {"_NORMEXP_COMPLETE": "complete_bash", "COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1)}
    return subprocess.check_output([str(command)], env=environment(command, **asked), text=True).splitlines()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "some", "others"),
    [
        ("sweep var", ["variant=", "variant=pre_ln"], ["variant.alpha=", "depth="]),
        ("sweep de", ["depth=", "depth=6"], ["depth=12"]),
        ("sweep variant = p", ["pre_ln", "post_ln", "plain"], ["admin"]),
        ("sweep variant =", ["pre_ln", "admin"], ["variant=pre_ln"]),
        ("sweep variant = pre_ln,p", ["pre_ln,post_ln"], ["pre_ln,pre_ln", "pre_ln"]),
        ("train seed = 1 norm = rms", ["rms_norm"], ["layer_norm"]),
        ("sweep model.dr", ["model.dropout="], ["model.width="]),
        ("sweep norm.e", ["norm.eps="], ["norm.eps=1"]),
        ("probe probe = [stream,d", ["[stream,dependency"], ["dependency"]),
        ("train training.amp = ", ["none", "bf16"], []),
        ("show model.fi", ["model.fix_norm="], []),
        ("reproduce x", ["xiong2020"], ["wang2019"]),
        ("sweep --config-dir LAB variant = mi", ["mine", "mix_ln"], ["pre_ln"]),
        ("sweep nonsense = a", [], ["nonsense"]),
    ],
)
def test_bash_is_offered(command: Path, tmp_path: Path, line: str, some: list[str], others: list[str]) -> None:
    (tmp_path / "variant").mkdir()
    (tmp_path / "variant" / "mine.yaml").write_text("_target_: mine.Mine\n")
    words = ["normexp", *line.replace("LAB", str(tmp_path)).split(" ")]
    offered = in_bash(command, words)
    assert set(some) <= set(offered)
    assert not set(others) & set(offered)


@pytest.mark.slow
@pytest.mark.parametrize(("shell", "more"), [("zsh", {}), ("fish", {"_TYPER_COMPLETE_FISH_ACTION": "get-args"})])
def test_zsh_and_fish_get_whole_words(command: Path, shell: str, more: dict[str, str]) -> None:
    """Both hand over KEY=VALUE as one word."""
    asked = {"_NORMEXP_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": "normexp sweep variant=po", **more}
    done = subprocess.run(
        [str(command)], env=environment(command, **asked), capture_output=True, text=True, check=False
    )
    assert "variant=post_ln" in done.stdout
    assert "pre_ln" not in done.stdout


@pytest.mark.slow
def test_completing_imports_nothing_heavy(command: Path) -> None:
    asked = {"_NORMEXP_COMPLETE": "complete_bash", "COMP_WORDS": "normexp\nsweep\nvar", "COMP_CWORD": "2"}
    code = f"import sys\ntry:\n    exec({SCRIPT!r})\nexcept SystemExit:\n    pass\nprint('loaded:', *sys.modules)"
    done = subprocess.check_output([sys.executable, "-c", f"import sys; sys.argv = ['normexp']\n{code}"],
                                   env=environment(command, **asked), text=True)  # fmt: skip
    loaded = done.rpartition("loaded:")[2].split()
    assert "variant=" in done
    assert not {"torch", "hydra", "omegaconf", "pandas", "numpy", "yaml", "matplotlib"} & set(loaded)


class Terminal:
    """An interactive bash on a pseudo-terminal."""

    def __init__(self, env: dict[str, str]) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(str(BASH), ["bash", "--norc", "--noprofile", "-i"], env)
        self.seen = ""

    def type(self, keys: str, until: str) -> str:
        """Type, then read until the text appears; what has appeared since is returned."""
        self.seen = ""
        os.write(self.fd, keys.encode())
        deadline = time.monotonic() + 60
        while until not in self.seen and time.monotonic() < deadline:
            if select.select([self.fd], [], [], 0.2)[0]:
                self.seen += os.read(self.fd, 65536).decode(errors="replace").replace("\x07", "")  # the bell
        assert until in self.seen, self.seen
        return self.seen

    def close(self) -> None:
        os.write(self.fd, b"\x15exit\n")
        os.waitpid(self.pid, 0)
        os.close(self.fd)


@pytest.fixture
def terminal(command: Path) -> Iterator[Terminal]:
    shell = Terminal(environment(command, TERM="dumb", HISTFILE=os.devnull))
    shell.type('eval "$(_NORMEXP_COMPLETE=source_bash normexp)" && echo re""ady\n', "ready\r\n")
    yield shell
    shell.close()


@pytest.mark.slow
@pytest.mark.skipif(BASH is None, reason="no bash here")
def test_tab_in_a_real_terminal(terminal: Terminal) -> None:
    """TAB inserts the key without a space after it, then the value."""
    terminal.type("normexp sweep vari\t", "variant=")
    terminal.type("pos\t", "post_ln ")
    terminal.type("norm=rm\t", "norm=rms_norm ")
    terminal.type("\x15normexp reproduce xi\t", "xiong2020 ")
