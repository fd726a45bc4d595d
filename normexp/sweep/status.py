"""How the runs of a sweep are doing, wherever they run: state, step, job, log, and what failed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from normexp.records.folder import SILENT, RunFolder
from normexp.records.process import is_stopped, what_continues
from normexp.records.reading import visible
from normexp.sweep.pools import slurm_queue
from normexp.sweep.progress import count_of

NO_ANSWER = "no answer"  # of Slurm


def describe(runs: Sequence[Path]) -> RenderableType:
    """A table of these runs, the counts of their states, and a line for each that failed or was lost."""
    jobs = {sweep: slurm_queue.jobs_of(sweep) for sweep in dict.fromkeys(run.parent for run in runs)}
    asked = [job for found in jobs.values() for job in found.values()]
    known = slurm_queue.states(asked) if asked else {}
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("run", "state", "step", *(("job", "Slurm says") if asked else ()), "log"):
        table.add_column(column, no_wrap=True)
    states: list[str] = []
    notes: list[str] = []
    for run in runs:
        folder, job = RunFolder(run), jobs[run.parent].get(run.name, "")
        status = folder.status
        said = "" if not job else NO_ANSWER if known is None else known.get(job, "gone")
        state, note = _state(folder, status, said)
        log = folder.log if folder.log.is_file() else _output(run.parent, job)
        notes += [f"{visible(run.name)}: {visible(note)}"] if note else []
        cells = (state, str(status.get("step") or ""), *((job, said) if asked else ()), str(log or ""))
        table.add_row(*(Text(visible(cell)) for cell in (run.name, *cells)))
        states.append(state)
    counts = " · ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(sorted(states)))
    return Group(table, *map(Text, (f"{count_of(len(runs))}: {counts}", *notes)))


def _state(folder: RunFolder, status: dict[str, Any], said: str) -> tuple[str, str]:
    """The state of a run, and what there is to say about it. said: by Slurm, of the run's job; empty if it has none."""
    state = str(status["state"])
    queued = said in slurm_queue.ALIVE
    if state in ("failed", "damaged"):
        return state, f"{state}: {status.get('error') or 'no message'}"
    if is_stopped(status):
        return "stopped", what_continues(status)
    if state == "running" and said != "SUSPENDED" and folder.silence > SILENT:
        return "lost", f"no sign of life for {folder.silence:.0f} s; run the same command again to continue it"
    if state in ("pending", "interrupted") and queued:
        return "waiting" if said != "RUNNING" else "starting", ""
    if state in ("pending", "interrupted") and said not in ("", NO_ANSWER):
        return "lost", f"its job ended ({said}); run the same command again to continue it"
    return state, ""


def _output(sweep: Path, job: str) -> Path | None:
    """Where the output of a job is, if there is any yet."""
    return next(iter(sorted((sweep / slurm_queue.FOLDER).glob(f"{job}_*_log.out"))), None) if job else None
