"""The command line in forks of one process that has imported what takes seconds, torch above all.

Each command has an environment and a working directory of its own, as a process has. The Hub's client, which reads the
environment when it is imported, is imported by each command anew.
"""

import importlib
import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from normexp.views import style

ROOT = Path(__file__).parents[2]
IMPORTED = ("bokeh.embed", "bokeh.models", "normexp.cli", "normexp.sweep.executor", "normexp.variants",
            "normexp.views.figures", "normexp.views.report", "normexp.views.sentences")  # fmt: skip
Command = Callable[..., subprocess.CompletedProcess[str]]


@contextmanager
def forking() -> Iterator[Command]:
    """A function that runs `normexp` with some words, in a folder, with an environment, and waits for its end."""
    line = [sys.executable, "-m", __name__]
    with (
        subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as parent,
        tempfile.TemporaryDirectory() as folder,
    ):
        assert parent.stdin is not None
        assert parent.stdout is not None
        out, err = Path(folder, "stdout"), Path(folder, "stderr")

        def command(*words: str, cwd: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
            asked = {"words": words, "cwd": str(cwd), "env": dict(env), "out": str(out), "err": str(err)}
            print(json.dumps(asked), file=parent.stdin, flush=True)
            code = int(parent.stdout.readline())
            return subprocess.CompletedProcess(words, code, out.read_text("utf-8"), err.read_text("utf-8"))

        yield command
        parent.stdin.close()


def serve() -> None:
    """Answer each line of the standard input, a command, with its exit code. They draw SVG alone, which is faster."""
    for name in IMPORTED:
        importlib.import_module(name)
    sheet = style.SHEETS["default"]
    style.SHEETS["default"] = sheet._replace(kinds=("svg",))
    assert not {"datasets", "huggingface_hub"} & set(sys.modules)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            _become(**json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _become(words: list[str], cwd: str, env: dict[str, str], out: str, err: str) -> None:
    """Be the process of this command, to its end."""
    from normexp.__main__ import main

    for path, stream in ((out, 1), (err, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = ["normexp", *words]
    code = 1
    try:
        main()
    except SystemExit as ended:
        code = int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
