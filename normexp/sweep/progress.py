"""A sweep as it runs: a live display on a terminal, plain lines everywhere else."""

import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from normexp.records.folder import RunFolder
from normexp.records.process import is_stopped, what_continues

ENDED = ("completed", "failed")
POLL_EVERY = 0.5  # seconds
LINE_EVERY = 30.0  # seconds between plain lines when no run changes its state


class Progress:
    """Shows how many runs are done, running and failed, the step of each running one, and the time left.

    All of it is read from the run folders. costs: of the runs, in any unit; the time left assumes the pace so far.
    steps: of each run.
    """

    def __init__(self, runs: Sequence[RunFolder], costs: Sequence[float], steps: Sequence[int]) -> None:
        self.runs, self.costs, self.steps = runs, costs, steps
        self.console = Console(stderr=True)
        self.started = time.monotonic()
        self._last: dict[int, dict[str, Any]] = {}
        statuses = self._statuses()
        self.at_start = self._done(statuses)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        # What ended in an earlier command, or in an earlier round of a map, is counted and not listed.
        self._printed = {run.name: s["state"] for run, s in zip(runs, statuses, strict=True) if s["state"] in ENDED}
        self._before = self._summary(statuses) if self._printed else ""

    def __enter__(self) -> "Progress":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        if not self.console.is_terminal:
            last = time.monotonic()
            if self._before:
                self.console.print(self._before, highlight=False, soft_wrap=True)
            while not self._over.wait(POLL_EVERY):
                late = time.monotonic() - last > LINE_EVERY
                if self._print_changes() or late:
                    last = time.monotonic()
                    self.console.print(self._summary(self._statuses()), highlight=False, soft_wrap=True)
            self._print_changes()
            return
        with Live(self._display(), console=self.console, refresh_per_second=4) as live:
            while not self._over.wait(POLL_EVERY):
                live.update(self._display())
            live.update(self._display())

    def _statuses(self) -> list[dict[str, Any]]:
        """The status of every run; those that have ended are not read again."""
        for place, run in enumerate(self.runs):
            if self._last.get(place, {}).get("state") not in ENDED:
                self._last[place] = status = run.status
                if is_stopped(status):
                    status["state"] = "stopped"
        return [self._last[place] for place in range(len(self.runs))]

    def _done(self, statuses: Sequence[dict[str, Any]]) -> float:
        """Cost of what is done; a running run counts by its steps."""
        return sum(
            cost * (1.0 if status["state"] in ENDED else (status.get("step") or 0) / max(1, steps))
            for cost, steps, status in zip(self.costs, self.steps, statuses, strict=True)
        )

    def _summary(self, statuses: Sequence[dict[str, Any]]) -> str:
        states = [status["state"] for status in statuses]
        counts = {name: states.count(name) for name in ("completed", "running", "stopped", "failed")}
        text = " · ".join(f"{count} {name}" for name, count in counts.items() if count or name == "completed")
        return f"{count_of(len(states))}: {text}{self._left(statuses)}"

    def _left(self, statuses: Sequence[dict[str, Any]]) -> str:
        done, elapsed = self._done(statuses), time.monotonic() - self.started
        ended = sum(c for c, s in zip(self.costs, statuses, strict=True) if s["state"] in ENDED)
        if done <= self.at_start or elapsed < 5 or ended == sum(self.costs):
            return ""
        return f" · {clock((sum(self.costs) - done) * elapsed / (done - self.at_start))} left"

    def _display(self) -> RenderableType:
        statuses = self._statuses()
        running = Table.grid(padding=(0, 2))
        for run, total, status in zip(self.runs, self.steps, statuses, strict=True):
            if status["state"] == "running":
                step = status.get("step") or 0
                loss = f"loss {status['loss']:.3f}" if status.get("loss") is not None else ""
                bar = ProgressBar(total=total, completed=step, width=24)
                at = f"step {step}/{total}" if total else "measuring"
                running.add_row(f"  {run.name}", bar, at, loss)
            elif status["state"] == "stopped":
                running.add_row(f"  {run.name}", "", what_continues(status))
            elif status["state"] == "failed":
                running.add_row(Text(f"  {run.name}", "red"), Text("failed", "red"), Text(str(run.log)))
        return Group(self._summary(statuses), running)

    def _print_changes(self) -> bool:
        changed = False
        for run, status in zip(self.runs, self._statuses(), strict=True):
            state = status["state"]
            if state == self._printed.get(run.name, "pending"):
                continue
            self._printed[run.name], changed = state, True
            about = ""
            if state == "completed" and "outcome" in status:  # an untrained model that was only measured has none
                about = f": {status['outcome']}, final loss {status['final_loss']:.3f}"
            elif state == "failed":
                about = f": {status['error']} (log: {run.log})"
            elif state == "stopped":
                about = f": {what_continues(status)}"
            self.console.print(f"{run.name} {state}{about}", highlight=False, markup=False, soft_wrap=True)
        return changed


def count_of(runs: int) -> str:
    """1 run, 9 runs."""
    return f"{runs:,} run{'' if runs == 1 else 's'}"


def clock(seconds: float) -> str:
    """3:05, or 1:02:03 from an hour on."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
