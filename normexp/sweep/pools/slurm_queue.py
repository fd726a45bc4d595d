"""The jobs of a sweep: which run is in which, and what Slurm says of them."""

import json
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from normexp.records.atomic import replacing
from normexp.records.reading import Damaged, read_json

FOLDER = "jobs"  # of the sweep: what was submitted, and the output of each job
ALIVE = (
    *("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "STAGE_OUT", "SIGNALING", "RESIZING"),
    *("REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD", "STOPPED", "SUSPENDED"),
)


def jobs_of(sweep: Path) -> dict[str, str]:
    """The latest job of each run, by the run's name; {} if none was submitted or the record is damaged."""
    try:
        found = read_json(sweep / FOLDER / "jobs.json", 64 * 2**20)
    except Damaged:
        return {}
    pairs = found.items() if isinstance(found, dict) else ()
    return {run: job for run, job in pairs if isinstance(job, str) and job.replace("_", "").isdigit()}


def queued(runs: Iterable[Path]) -> set[Path]:
    """Those of these runs that Slurm still has a job for, or may have, where it does not answer."""
    runs = list(runs)
    submitted = {sweep: jobs_of(sweep) for sweep in {run.parent for run in runs}}
    jobs = {run: job for run in runs if (job := submitted[run.parent].get(run.name))}
    known = states(jobs.values()) if jobs else {}
    return {run for run, job in jobs.items() if known is None or known.get(job) in ALIVE}


def record(sweep: Path, jobs: Mapping[str, str]) -> None:
    """Add to the record which run is in which job."""
    with replacing(sweep / FOLDER / "jobs.json") as temporary:
        temporary.write_text(json.dumps({**jobs_of(sweep), **jobs}, indent=1), "utf-8")


def states(jobs: Iterable[str]) -> dict[str, str] | None:
    """What Slurm says of these jobs; those that it has forgotten are missing. None if it does not answer.

    This asks squeue, which needs no accounting.
    """
    found: dict[str, str] = {}
    for number in sorted({job.partition("_")[0] for job in jobs}):
        command = ["squeue", "--noheader", "--array", "--states=all", "--format=%i %T", f"--jobs={number}"]
        try:
            done = subprocess.run(
                command, capture_output=True, encoding="utf-8", errors="replace", timeout=60, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        if done.returncode and "Invalid job id" not in done.stderr:
            return None
        found |= dict(line.split() for line in done.stdout.splitlines() if len(line.split()) == 2)
    return found
