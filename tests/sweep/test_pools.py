"""Pools bring folders to workers; workers end with the process that started them."""

import errno
import json
import os
import signal
import subprocess
import sys

import pytest

from normexp.errors import ConfigError, LaunchError
from normexp.sweep.plan import plan
from normexp.sweep.pools import local, make_pool
from normexp.sweep.pools.local import LocalPool
from tests.support.runs import TINY, alive, descendants, runs, started, status, swept, wait_until


@pytest.mark.slow
def test_workers_end_when_their_parent_is_killed(tmp_path):
    """SIGKILL leaves the parent no time to stop them: they must notice by themselves."""
    sweep = started("sweep", *TINY, "steps=100000", "variant=post_ln", "seed=0,1", "--jobs=2", cwd=tmp_path)
    try:
        wait_until(lambda: sum("step" in status(run) for run in runs(tmp_path / "results").values()) == 2)
        workers = [pid for pid in descendants(sweep.pid) if pid != sweep.pid]
        assert len(workers) >= 2
    finally:
        os.kill(sweep.pid, signal.SIGKILL)
        sweep.communicate()
    wait_until(lambda: not any(map(alive, workers)), seconds=15)
    # The lock of a process is released a moment after it counts as gone.
    wait_until(lambda: {run.status["state"] for run in runs(tmp_path / "results").values()} == {"interrupted"})


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_hydras_launchers_are_a_pool(launcher, tmp_path):
    assert swept(*TINY, "variant=post_ln,pre_ln", f"hydra/launcher={launcher}", cwd=tmp_path)
    found = runs(tmp_path / "results")
    assert {name: run.status["state"] for name, run in found.items()} == {"post_ln": "completed", "pre_ln": "completed"}
    (sweep,) = (tmp_path / "results").iterdir()
    assert not list(sweep.glob(".hydra-*"))  # its scratch folder is gone


@pytest.mark.slow
@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGKILL])
def test_a_launchers_jobs_end_with_their_parent(signal_, tmp_path):
    """And leave a checkpoint."""
    line = (*TINY, "steps=100000", "variant=post_ln", "seed=0,1", "hydra/launcher=basic")
    sweep = started("sweep", *line, cwd=tmp_path)
    try:
        wait_until(lambda: any("step" in status(run) for run in runs(tmp_path / "results").values()))
        jobs = [pid for pid in descendants(sweep.pid) if pid != sweep.pid]
    finally:
        sweep.send_signal(signal_)
        sweep.communicate()
    wait_until(lambda: not any(map(alive, jobs)), seconds=15)
    found = runs(tmp_path / "results").values()
    assert any(run.checkpoint.exists() for run in found)
    wait_until(lambda: {run.status["state"] for run in found} <= {"interrupted", "pending"})


def test_pool_that_starts_nothing_says_why(monkeypatch, tmp_path):
    monkeypatch.setattr(local, "COMMAND", (sys.executable, "-c", "raise SystemExit('no torch here')"))
    with pytest.raises(LaunchError, match="no torch here"):
        LocalPool(jobs=2).run([tmp_path / "one", tmp_path / "two", tmp_path / "three"])


@pytest.mark.parametrize("broken", ["local.subprocess.Popen", "local.tempfile.TemporaryFile"])
def test_pool_that_may_not_start_a_worker_says_why(broken, monkeypatch, tmp_path):
    """For example because a user may open no more files."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(f"normexp.sweep.pools.{broken}", refuse)
    with pytest.raises(LaunchError, match="Too many open files"):
        LocalPool(jobs=2).run([tmp_path / "one", tmp_path / "two"])


def test_where_one_worker_cannot_be_started_the_others_do_its_runs(monkeypatch, tmp_path):
    really, started = subprocess.Popen, []

    def start(*args, **more):
        started.append(args)
        if len(started) == 2:
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        return really(*args, **more)

    monkeypatch.setattr(local.subprocess, "Popen", start)
    answering = """
import sys
print('ready', flush=True)
for line in map(str.strip, sys.stdin):
    print(line, 'ran', sep=chr(9), flush=True)
"""
    monkeypatch.setattr(local, "COMMAND", (sys.executable, "-c", answering))
    pool, folders = LocalPool(jobs=2), [tmp_path / "one", tmp_path / "two", tmp_path / "three"]
    pool.run(folders)
    assert pool.troubles == dict.fromkeys(folders, "ran")


def test_only_lines_that_name_the_folder_are_answers(monkeypatch, tmp_path):
    noisy = """
import sys
print('MKL_VERBOSE', 'ready', sep=chr(10), flush=True)
for line in map(str.strip, sys.stdin):
    print('MKL_VERBOSE', line, line[:-1] + '0"' + chr(9), sep=chr(10))
    print(line, 'ValueError: no ' + line, sep=chr(9), flush=True)
"""
    monkeypatch.setattr(local, "COMMAND", (sys.executable, "-c", noisy))
    pool, folders = LocalPool(jobs=1), [tmp_path / "one", tmp_path / "zwölf\n"]
    pool.run(folders)
    assert pool.troubles == {folder: f"ValueError: no {json.dumps(str(folder))}" for folder in folders}


def test_a_worker_that_dies_before_it_reads_is_replaced(monkeypatch, tmp_path):
    deaf = "import os; os.close(0); print('ready', flush=True); raise SystemExit(3)"
    monkeypatch.setattr(local, "COMMAND", (sys.executable, "-c", deaf))
    pool, folders = LocalPool(jobs=1), [tmp_path / "one", tmp_path / "two"]
    pool.run(folders)
    assert pool.deaths == dict.fromkeys(folders, "exit code 3")


def test_unknown_pool_is_refused(tmp_path):
    sweep = plan("sweep", [*TINY, f"results={tmp_path}"])
    with pytest.raises(ConfigError, match=r"^--pool must be one of local, slurm, ray, hydra; got slrm$"):
        make_pool("slrm", sweep, jobs=2)
