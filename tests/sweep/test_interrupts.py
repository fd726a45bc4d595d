"""A sweep that is interrupted ends with 130 at any moment, keeps what it has done, and leaves no process."""

import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from normexp.errors import StoppedError
from normexp.records.folder import RunFolder
from normexp.sweep.pools.local import GRACE
from normexp.sweep.worker import execute
from normexp.views.runs import load_runs
from tests.support.runs import TINY, alive, descendants, environment, runs, started, status, tiny_config, wait_until

pytestmark = pytest.mark.slow
LONG = ("sweep", *TINY, "steps=100000", "record.checkpoint_every=100000", "variant=post_ln", "seed=0,1")


def training(cwd, jobs=1):
    """A sweep of two runs of which so many are being trained, and all of its processes."""
    sweep = started(*LONG, f"--jobs={jobs}", cwd=cwd)
    wait_until(lambda: sum("step" in status(run) for run in runs(cwd / "results").values()) == jobs)
    return sweep, descendants(sweep.pid)


def seconds_of(pid) -> float:
    """CPU seconds that a process has had."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def end_of(sweep, family) -> str:
    """What an interrupted sweep says; none of its processes may be left."""
    try:
        _, said = sweep.communicate(timeout=300)
    finally:
        sweep.kill()
        sweep.wait()
    assert sweep.returncode == 130, said
    assert "Traceback" not in said
    assert said.endswith("interrupted; run the same command again to resume\n")
    wait_until(lambda: not any(map(alive, family)))
    return said


def test_a_signal_leaves_a_checkpoint_of_the_last_step(tmp_path):
    """Of the run that is being trained; the other one is still to come."""
    sweep, family = training(tmp_path)
    sweep.send_signal(signal.SIGINT)
    end_of(sweep, family)
    stopped, waiting = sorted(runs(tmp_path / "results").values(), key=lambda run: run.status["state"])
    assert (stopped.status["state"], waiting.status["state"]) == ("interrupted", "pending")
    assert stopped.checkpoint.is_file()
    assert not list(stopped.path.glob(".*"))


def test_ctrl_c_on_a_terminal_reaches_the_sweep_alone(tmp_path):
    """The terminal interrupts the whole process group in front: the workers must be in others, of the same session."""
    terminal, ours = pty.openpty()
    command = [sys.executable, "-m", "normexp", *LONG, "--jobs=2"]
    sweep = subprocess.Popen(command, cwd=tmp_path, env=environment(), stdin=ours, stdout=ours, stderr=subprocess.PIPE,
                             text=True, start_new_session=True,
                             preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))  # fmt: skip
    wait_until(lambda: sum("step" in status(run) for run in runs(tmp_path / "results").values()) == 2)
    family = descendants(sweep.pid)
    assert {os.getsid(pid) for pid in family} == {sweep.pid}
    groups = [os.getpgid(pid) for pid in family]
    assert groups.count(sweep.pid) == 1
    os.write(terminal, b"\x03")
    end_of(sweep, family)
    os.close(terminal)
    os.close(ours)
    assert all(run.checkpoint.is_file() for run in runs(tmp_path / "results").values())


@pytest.mark.parametrize(("work", "number"), [(0.5, signal.SIGINT), (1.5, signal.SIGTERM), (3.0, signal.SIGHUP)])
def test_a_signal_before_the_first_step_ends_it_too(work, number, tmp_path):
    """While it imports, plans, and starts its workers, after so many seconds of CPU; one handler serves all signals."""
    sweep = started(*LONG, "--jobs=2", cwd=tmp_path)
    wait_until(lambda: sum(seconds_of(pid) for pid in descendants(sweep.pid)) > work)
    family = descendants(sweep.pid)
    sweep.send_signal(number)
    end_of(sweep, family)


SLEEPING = """
import time
from pathlib import Path
from normexp.variants.post_ln import PostLN


class Sleeping(PostLN):
    def on_step_begin(self, step):
        if step == 3:
            Path(__file__).with_name("asleep").touch()
            time.sleep(600)
"""


def test_a_second_signal_does_not_wait_for_a_worker(tmp_path):
    """One in the middle of a step gets 20 s for it after the first signal, and none after the second."""
    (tmp_path / "variant").mkdir()
    (tmp_path / "variant" / "sleeping.yaml").write_text("_target_: sleeping.Sleeping\n")
    (tmp_path / "sleeping.py").write_text(SLEEPING)
    line = ("sweep", *TINY, "variant=sleeping", "seed=0,1", "--jobs=1", "--config-dir=.")
    sweep = started(*line, cwd=tmp_path)
    wait_until((tmp_path / "asleep").exists)
    family = descendants(sweep.pid)
    sweep.send_signal(signal.SIGINT)
    time.sleep(1)
    assert all(map(alive, family))
    began = time.monotonic()
    sweep.send_signal(signal.SIGINT)
    end_of(sweep, family)
    assert time.monotonic() - began < GRACE / 2


def test_a_stopped_worker_is_named(tmp_path):
    sweep, family = training(tmp_path)
    run = next(run for run in runs(tmp_path / "results").values() if "step" in status(run))
    os.kill(run.status["pid"], signal.SIGSTOP)
    wait_until(lambda: load_runs(run.path).iloc[0]["state"] == "stopped")  # what `normexp results` shows
    assert load_runs(run.path).iloc[0]["error"].startswith(f"its process {run.status['pid']} was stopped; kill -CONT")
    time.sleep(3)  # twice what its progress needs to see it
    sweep.send_signal(signal.SIGINT)
    said = end_of(sweep, family)
    assert f"{run.name} stopped: its process {run.status['pid']} was stopped; kill -CONT" in said


@pytest.mark.parametrize("at", [1, 7, 10, 20, 33])
def test_a_run_stopped_at_any_step_continues_to_the_same_bytes(at, tmp_path):
    config = tiny_config("steps=40", "record.checkpoint_every=10", "record.evaluate_every=20", "model.dropout=0.1")
    whole, stopped = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "stopped")
    whole.create(config)
    stopped.create(config)
    execute(whole.path)
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked == at + 1

    with pytest.raises(StoppedError, match=f"step {at}$"):
        execute(stopped.path, stop)
    assert stopped.status["state"] == "interrupted"
    execute(stopped.path)
    assert f"resumed after step {at}" in stopped.log.read_text()
    for name in ("curves.parquet", "layers.parquet"):
        assert (whole.path / name).read_bytes() == (stopped.path / name).read_bytes()
