"""A worker process: what comes through its pipe."""

import json
import subprocess
import sys

import pytest

# A run whose code prints in every way, and whose second folder cannot be run.
PRINTING = """
import os
from normexp.sweep import worker

def execute(path, stop):
    print("printed")
    os.write(1, b"by a library\\n")
    os.system("echo by a process")
    if path.name == "two\\n":
        raise ValueError("no such run")

worker.execute = execute
worker.serve()
"""


@pytest.mark.slow
def test_what_a_run_prints_is_no_answer():
    """Not from Python, nor from a C library (MKL_VERBOSE=1), nor from a process that a user's class starts."""
    command = [sys.executable, "-c", PRINTING]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, text=True, encoding="utf-8") as worker:
        assert [worker.stdout.readline() for _ in range(2)] == ["\n", "ready\n"]
        for name, trouble in (("zwölf", ""), ("two\n", "ValueError: no such run")):
            worker.stdin.write(f"{json.dumps(name)}\n")
            worker.stdin.flush()
            assert worker.stdout.readline() == f"{json.dumps(name)}\t{trouble}\n"
        worker.stdin.close()
        assert worker.stdout.read() == ""
        said = worker.stderr.read()
    assert worker.returncode == 0
    assert sorted(set(said.splitlines())) == ["by a library", "by a process", "printed"]
