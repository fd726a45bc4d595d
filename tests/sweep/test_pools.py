"""Pools bring folders to workers; workers end with the process that started them."""

import os
import signal
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
    wait_until(lambda: not any(map(alive, workers)), seconds=60)
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


def test_pool_that_starts_nothing_says_why(monkeypatch, tmp_path):
    monkeypatch.setattr(local, "COMMAND", (sys.executable, "-c", "raise SystemExit('no torch here')"))
    with pytest.raises(LaunchError, match="no torch here"):
        LocalPool(jobs=2).run([tmp_path / "one", tmp_path / "two", tmp_path / "three"])


def test_unknown_pool_is_refused(tmp_path):
    sweep = plan("sweep", [*TINY, f"results={tmp_path}"])
    with pytest.raises(ConfigError, match=r"^--pool must be one of local, slurm, ray, hydra; got slrm$"):
        make_pool("slrm", sweep, jobs=2)
