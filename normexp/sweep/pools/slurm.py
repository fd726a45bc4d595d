"""A Slurm cluster, through submitit: one job array per sweep."""

import math
import shutil
import subprocess
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from normexp.errors import ConfigError, LaunchError, line_of
from normexp.records.folder import SILENT, RunFolder
from normexp.sweep.plan import Sweep
from normexp.sweep.pools import slurm_queue
from normexp.sweep.pools.pool import Pool
from normexp.sweep.progress import ENDED
from normexp.sweep.sizes import memory

POLL = 3.0  # seconds between questions to Slurm
TIMEOUTS = 1000  # times that a job may reach its limit of time and go on after a requeue
OVERHEAD = 1.5  # gigabytes of a process that has imported torch


class SlurmPool(Pool):
    """Jobs that run the folders, requeued when they are preempted; their output is in the sweep's folder `jobs`.

    The run folders and squeue say how the jobs do, so that a cluster without accounting is enough. Where both are
    silent for a minute, a job is dead: it is cancelled, and the executor submits its runs again. A job is over when all
    of its runs have ended, those too that are stacked on the folders that it was given.
    """

    def __init__(self, sweep: Sweep) -> None:
        super().__init__()
        if find_spec("submitit") is None:
            raise ConfigError("--pool slurm needs submitit; pip install 'normexp[slurm]'")
        if not (shutil.which("sbatch") and shutil.which("srun")):
            raise ConfigError("--pool slurm needs sbatch and srun; run it on a machine of the cluster")
        self.sweep, self.asked = sweep, sweep.runs[0].config.slurm
        self._parameters: dict[str, Any] = {}
        self._running: dict[str, float] = {}  # when Slurm was first seen to run a job
        self._submitted: set[str] = set()

    def submit(self, folders: Sequence[Path]) -> dict[Path, str]:
        """Submit one job array; the job of each folder, and of those that are stacked on it.

        Raises LaunchError if Slurm refuses it.
        """
        import submitit

        from normexp.sweep.pools.slurm_job import RunFolders

        count = self.asked.runs
        parts = [[str(folder) for folder in folders[i : i + count]] for i in range(0, len(folders), count)]
        executor = submitit.SlurmExecutor(self.sweep.path / slurm_queue.FOLDER, max_num_timeout=TIMEOUTS)
        executor.update_parameters(**self.parameters)
        try:
            jobs = executor.map_array(RunFolders(), parts)  # type: ignore[no-untyped-call]  # of submitit
        except Exception as error:
            raise LaunchError(f"Slurm refused the jobs: {line_of(error, -1)}") from error
        given = {Path(folder): job.job_id for part, job in zip(parts, jobs, strict=True) for folder in part}
        found = {each.path: job for folder, job in given.items() for each in RunFolder(folder).stacked} | given
        slurm_queue.record(self.sweep.path, {folder.name: job for folder, job in found.items()})
        self._submitted |= set(found.values())
        return found

    def queued(self) -> set[str]:
        """The runs of the sweep that are in a job which waits or runs."""
        jobs = slurm_queue.jobs_of(self.sweep.path)
        known = slurm_queue.states(jobs.values()) if jobs else {}
        if known is None:
            raise LaunchError("Slurm does not answer")
        return {run for run, job in jobs.items() if known.get(job) in slurm_queue.ALIVE}

    def run(self, folders: Sequence[Path]) -> None:
        jobs: dict[str, list[RunFolder]] = {}
        for folder, job in self.submit(folders).items():
            jobs.setdefault(job, []).append(RunFolder(folder))
        self._running.clear()
        while jobs:
            time.sleep(POLL)
            known = slurm_queue.states(jobs)
            for job, runs in list(jobs.items()):
                if self._over(job, runs, known):
                    del jobs[job]

    def stop(self, running: Sequence[Path] = ()) -> None:
        """Cancel the jobs of this command."""
        if self._submitted:
            subprocess.run(["scancel", *sorted(self._submitted)], capture_output=True, check=False)

    @property
    def parameters(self) -> dict[str, Any]:
        """What a job asks for, in the words of submitit; time and memory from the estimate unless keys set them."""
        if self._parameters:
            return self._parameters
        asked, configs = self.asked, [run.config for run in self.sweep.runs]
        minutes, gigabytes = asked.minutes, asked.gigabytes
        if not minutes:
            from normexp.sweep.estimate import longest

            at_once = asked.runs * max(config.training.stacked for config in configs)
            minutes = math.ceil(3 * longest(self.sweep) * at_once / 60) + 10
        if not gigabytes:
            gigabytes = math.ceil(asked.runs * (OVERHEAD + max(map(memory, configs)) / 1e9))
        given = {"partition": asked.partition, "account": asked.account, "setup": [asked.setup] * bool(asked.setup)}
        self._parameters = {
            "job_name": f"normexp-{self.sweep.name}",
            "time": minutes,
            "mem": f"{round(1024 * gigabytes)}MB",
            "cpus_per_task": max(asked.cpus, asked.runs),
            "array_parallelism": asked.at_once,
            "stderr_to_stdout": True,
            "additional_parameters": {"requeue": True},
            **({"gpus_per_node": asked.gpus} if asked.gpus else {}),
            **{name: value for name, value in given.items() if value},
        }
        return self._parameters

    def _over(self, job: str, runs: Sequence[RunFolder], known: dict[str, str] | None) -> bool:
        """Whether nothing works on any run of a job any more."""
        left = [run for run in runs if run.status["state"] not in ENDED]
        if not left:
            return True
        state = None if known is None else known.get(job, "gone")
        if state == "RUNNING":
            self._running.setdefault(job, time.monotonic())
        elif state is not None:
            self._running.pop(job, None)
        running = time.monotonic() - self._running.get(job, time.monotonic())
        reason = end_of(state, running, min(run.silence for run in left))
        if reason:
            self.deaths |= {run.path: f"Slurm's job {job}: {reason}" for run in left}
            subprocess.run(["scancel", job], capture_output=True, check=False)
        return bool(reason)


def end_of(state: str | None, running: float, silence: float) -> str:
    """Why nothing works on the unfinished runs of a job any more; empty if something does or will.

    state: of the job, as Slurm says, None if it does not answer. running: seconds since it said RUNNING.
    silence: seconds since the last sign of life of any of these runs.
    """
    if state is not None and state not in slurm_queue.ALIVE:
        return state
    if state in (None, "RUNNING") and min(running, silence) >= SILENT:
        return f"no sign of life for {SILENT:.0f} s"
    return ""
