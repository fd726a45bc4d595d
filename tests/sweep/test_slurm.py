"""--pool slurm: killed and requeued jobs continue on a real Slurm, with equal tables."""

import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from normexp.config.identity import identity
from normexp.errors import ConfigError
from normexp.records.folder import SILENT, RunFolder
from normexp.sweep.executor import run_sweep
from normexp.sweep.plan import plan
from normexp.sweep.pools import make_pool, slurm_queue
from normexp.sweep.pools import slurm as slurm_pool
from normexp.sweep.pools.slurm import end_of
from normexp.sweep.worker import beating
from tests.support import slurm
from tests.support.cli import in_process
from tests.support.runs import (
    TINY,
    TWELVE,
    alive,
    environment,
    runs,
    same_tables,
    status,
    swept,
    tiny_config,
    wait_until,
)


@pytest.mark.slow
@pytest.mark.skipif(bool(slurm.missing()), reason=slurm.missing())
@pytest.mark.usefixtures("svg_alone")
def test_a_cluster_does_what_this_machine_does(tmp_path, monkeypatch):
    """Twelve runs are submitted; one is killed, one is requeued; all complete, with equal tables."""
    for name in ("slurm", "here", "there"):
        (tmp_path / name).mkdir()
    assert swept(*TWELVE, cwd=tmp_path / "here")
    monkeypatch.chdir(tmp_path / "there")
    line = ("sweep", *TWELVE, "--pool=slurm")
    with slurm.cluster(tmp_path / "slurm") as variables:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        submitted = in_process(*line, "--submit")
        assert submitted.exit_code == 0, submitted.stderr
        assert submitted.stdout == "12 runs submitted as job 1\n"
        assert environment()["SLURM_CONF"] == variables["SLURM_CONF"]
        assert in_process(*line, "--submit").stdout == "0 runs submitted, 12 runs in a job already\n"

        sweep = tmp_path / "there" / "results" / "try"
        killed, requeued = two_held_still(tmp_path / "there" / "results")
        assert all(run.checkpoint.exists() for run in (killed, requeued))
        os.kill(status(killed)["pid"], signal.SIGKILL)
        job = slurm_queue.jobs_of(sweep)[requeued.name]
        pid = status(requeued)["pid"]
        subprocess.run(["scontrol", "requeue", job], check=True)
        wait_until(lambda: not alive(status(killed)["pid"]) and not held(pid))
        lost = f"{killed.name}: its job ended ("
        wait_until(lambda: lost in in_process("status", str(sweep)).stdout)

        done = in_process(*line)
        assert done.exit_code == 0, done.stderr
        assert "12 runs: 12 completed" in in_process("status", str(sweep)).stdout
    assert "resumed after step" in killed.log.read_text()
    assert "resumed after step" in requeued.log.read_text()
    assert same_tables(tmp_path / "here", tmp_path / "there") == 24


def two_held_still(results: Path) -> list[RunFolder]:
    """Two runs in the middle of their training, whose processes are stopped, so that neither ends by itself."""
    still: dict[str, RunFolder] = {}

    def seen() -> bool:
        for name, run in runs(results).items():
            now = run.status
            if name not in still and now["state"] == "running" and run.checkpoint.exists() and len(still) < 2:
                os.kill(now["pid"], signal.SIGSTOP)
                still[name] = run
        return len(still) == 2

    wait_until(seen, 600)
    return list(still.values())


def held(pid: int) -> bool:
    """Stop a process again, for Slurm continues a job that it is about to kill; whether there was one."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
    return alive(pid)


@pytest.mark.parametrize(
    ("state", "running", "silence", "reason"),
    [
        ("PENDING", 0, 1e9, ""),
        ("RUNNING", 5, 1e9, ""),  # it has just started
        ("RUNNING", 500, 5, ""),
        ("RUNNING", 500, 61, "no sign of life for 60 s"),
        ("SUSPENDED", 0, 1e9, ""),
        ("NODE_FAIL", 0, 1, "NODE_FAIL"),
        ("gone", 0, 1, "gone"),
        (None, 0, 5, ""),  # Slurm does not answer
        (None, 500, 61, "no sign of life for 60 s"),
    ],
)
def test_a_job_counts_as_dead(state, running, silence, reason):
    assert end_of(state, running, silence) == reason


def test_a_worker_gives_signs_of_life(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.create(tiny_config())
    assert folder.silence == float("inf")
    with folder.lock():
        os.utime(folder.path / "lock", (0, 0))
        assert folder.silence > 1e9
        with beating(folder):
            wait_until(lambda: folder.silence < 60)


def test_what_a_job_asks_for_is_no_part_of_a_run():
    assert identity(tiny_config("slurm.minutes=5", "slurm.partition=big")) == identity(tiny_config())


@pytest.fixture
def programs(tmp_path, monkeypatch) -> Path:
    """A machine with Slurm's commands: squeue prints what the file `queue` holds, scancel writes one, `cancelled`."""
    (tmp_path / "bin").mkdir()
    told = {"scancel": f'echo "$@" >> {tmp_path}/cancelled', "squeue": f"cat {tmp_path}/queue"}
    for name, line in {"sbatch": "", "srun": "", **told}.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return tmp_path


def planned(tmp_path, *more, **options):
    return plan("sweep", [*TINY, "seed=0,1", "variant=post_ln", f"results={tmp_path}/results", *more], **options)


@pytest.mark.slow
def test_a_job_asks_for_what_the_keys_say(programs):
    keys = ("slurm.minutes=7", "slurm.gigabytes=1.5", "slurm.partition=big", "slurm.gpus=1", "slurm.runs=2")
    asked = make_pool("slurm", planned(programs, *keys), 0).parameters
    assert {key: asked[key] for key in ("time", "mem", "partition", "gpus_per_node", "cpus_per_task")} == {
        "time": 7,
        "mem": "1536MB",
        "partition": "big",
        "gpus_per_node": 1,
        "cpus_per_task": 2,
    }


@pytest.mark.slow
def test_a_job_asks_for_what_the_estimate_says(programs):
    asked = make_pool("slurm", planned(programs), 0).parameters
    assert 11 <= asked["time"] <= 20
    assert asked["mem"] == "2048MB"
    assert "partition" not in asked


def test_a_job_of_stacked_runs_may_take_as_long_as_one_after_another(programs, monkeypatch):
    monkeypatch.setattr("normexp.sweep.estimate.longest", lambda sweep: 600.0)
    assert make_pool("slurm", planned(programs), 0).parameters["time"] == 3 * 10 + 10
    assert make_pool("slurm", planned(programs, "training.stacked=2"), 0).parameters["time"] == 2 * 3 * 10 + 10


def test_the_queue_is_read_without_accounting(programs):
    (programs / "queue").write_text("7_0 RUNNING\n7_1 PENDING\n8 COMPLETED\n")
    sweep = programs / "sweep"
    (sweep / "jobs").mkdir(parents=True)
    slurm_queue.record(sweep, {"a": "7_0", "b": "7_1"})
    slurm_queue.record(sweep, {"a": "8"})
    assert slurm_queue.jobs_of(sweep) == {"a": "8", "b": "7_1"}
    assert slurm_queue.states(["7_0"]) == {"7_0": "RUNNING", "7_1": "PENDING", "8": "COMPLETED"}


@pytest.fixture
def submitted(programs, monkeypatch) -> list[list[list[str]]]:
    """The folders of every job of every array that is submitted, to a Slurm that starts all of them and ends none."""
    arrays: list[list[list[str]]] = []

    class Executor:
        def __init__(self, folder: Path, **options):
            folder.mkdir(parents=True, exist_ok=True)

        def update_parameters(self, **asked):
            pass

        def map_array(self, function, parts):
            arrays.append(parts)
            jobs = [f"{len(arrays)}_{place}" for place in range(len(parts))]
            with (programs / "queue").open("a") as queue:
                queue.writelines(f"{job} RUNNING\n" for job in jobs)
            return [SimpleNamespace(job_id=job) for job in jobs]

    monkeypatch.setattr("submitit.SlurmExecutor", Executor)
    return arrays


@pytest.mark.slow
def test_stacked_runs_are_in_the_job_of_the_first(programs, submitted):
    keys = ("variant=post_ln", "seed=range(8)", "training.stacked=4", "slurm.minutes=5", f"results={programs}/results")
    line = ("sweep", *TINY, *keys, "--name=try", "--pool=slurm", "--submit")
    assert in_process(*line).stdout == "8 runs submitted as job 1\n"
    assert in_process(*line).stdout == "0 runs submitted, 8 runs in a job already\n"
    assert [[len(part) for part in parts] for parts in submitted] == [[1, 1]]
    assert sorted(slurm_queue.jobs_of(programs / "results" / "try").values()) == ["1_0"] * 4 + ["1_1"] * 4


def brought(line: tuple[str, ...], programs, submitted, monkeypatch, *happens: Callable[[list[RunFolder]], object]):
    """A sweep to whose first job all of this happens, one after the other; the pool, and the runs of that job.

    The next of these happens every time that the pool sleeps, for so long that a job which runs silently is dead.
    """
    sweep = planned(programs, *line, "slurm.minutes=5")
    pool = make_pool("slurm", sweep, 0)
    todo, now = iter(happens), 0.0

    def of_first_job() -> list[RunFolder]:
        given = [RunFolder(Path(path)) for path in submitted[0][0]]
        return given + [each for folder in given for each in folder.stacked]

    def sleep(seconds: float) -> None:
        nonlocal now
        now += SILENT
        next(todo)(of_first_job())

    monkeypatch.setattr(slurm_pool, "time", SimpleNamespace(sleep=sleep, monotonic=lambda: now))
    run_sweep(sweep, pool)
    assert next(todo, None) is None
    return pool, of_first_job()


def first_ends(runs: list[RunFolder]) -> None:
    runs[0].update(state="completed")


def others_live(runs: list[RunFolder]) -> None:
    for each in runs[1:]:
        with each.lock():
            each.beat()


def all_end(runs: list[RunFolder]) -> None:
    for each in runs:
        each.update(state="completed")


STACK = ("seed=range(4)", "training.stacked=4")


@pytest.mark.slow
@pytest.mark.parametrize("line", [STACK, ("slurm.runs=2",)])
def test_a_job_is_over_when_all_of_its_runs_have_ended(line, programs, submitted, monkeypatch):
    """The first of them ends early; the others go on, and are submitted no second time."""
    happens = (first_ends, others_live, others_live, all_end)
    pool, runs = brought(line, programs, submitted, monkeypatch, *happens)
    assert len(runs) == (4 if line is STACK else 2)
    assert len(submitted) == 1
    assert not pool.deaths
    assert not (programs / "cancelled").exists()


@pytest.mark.slow
def test_a_job_goes_on_while_one_of_its_runs_lives(programs, submitted, monkeypatch):
    """The worker of another one died: that is no reason to end the job of its neighbour."""
    happens = (others_live, others_live, all_end)
    pool, _ = brought(("slurm.runs=2",), programs, submitted, monkeypatch, *happens)
    assert not pool.deaths
    assert not (programs / "cancelled").exists()


@pytest.mark.slow
def test_stacked_runs_die_with_their_job(programs, submitted, monkeypatch):
    """Those of them that have not ended get another try, each alone."""

    def die(runs: list[RunFolder]) -> None:
        for each in runs[1:]:
            each.update(state="failed" if len(submitted) > 1 else "running", attempts=1)
        (programs / "queue").write_text("")

    pool, (first, *others) = brought(STACK, programs, submitted, monkeypatch, first_ends, die, die, die, die)
    assert pool.deaths == {each.path: "Slurm's job 1_0: gone" for each in others}
    assert submitted == [[[str(each.path)]] for each in (first, *others)]


@pytest.mark.slow
def test_a_device_of_another_machine_is_taken_as_given(tmp_path):
    with pytest.raises(ConfigError, match=r"training\.device must be auto, cpu or a device of this machine"):
        planned(tmp_path, "training.device=cuda:7")
    assert planned(tmp_path, "training.device=cuda:7", elsewhere=True).runs[0].config.training.device == "cuda:7"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pool", "more", "jobs", "sentence"),
    [
        ("slurm", (), 0, "--pool slurm needs sbatch and srun; run it on a machine of the cluster"),
        ("slurm", (), 2, "--jobs is not used by --pool slurm; set slurm.at_once"),
        ("local", ("slurm.minutes=5",), 0, "slurm.minutes=5 is only used by --pool slurm; remove it"),
    ],
)
def test_what_does_not_fit_is_refused(pool, more, jobs, sentence, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=f"^{sentence}$"):
        make_pool(pool, planned(tmp_path, *more), jobs)
