"""Worker processes on this machine."""

import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from normexp.errors import DiskError, LaunchError, named
from normexp.sweep.pools.pool import Pool

COMMAND = (sys.executable, "-m", "normexp.sweep.worker")
GRACE = 20.0  # seconds that a worker has to write its checkpoint before it is killed


class LocalPool(Pool):
    """`jobs` processes, each of which takes one folder after another.

    A worker reads the names of folders from its standard input and answers each with a line when it is done. If it
    dies, another one takes its place and its neighbours go on; if it cannot be started, they take over its folders; if
    it cannot write, no further run is started. If this process dies, its workers see the end of their input and exit.
    """

    def __init__(self, jobs: int) -> None:
        super().__init__()
        self.jobs = jobs
        self._workers: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()  # around the start of a worker, so that none starts once we stop
        self._stopping = False
        self._failure = ""
        self._disk = ""

    def run(self, folders: Sequence[Path]) -> None:
        todo = deque(folders)
        threads = [threading.Thread(target=self._serve, args=(todo,), daemon=True) for _ in folders[: self.jobs]]
        started = []
        for thread in threads:
            try:
                thread.start()
            except RuntimeError as error:  # there are too many; those that run do the work
                self._failure = named(error)
                break
            started.append(thread)
        for thread in started:
            thread.join()
        if self._disk:
            raise DiskError(self._disk)
        if self._failure and todo:  # else other workers have done it all
            raise LaunchError(self._failure)

    def stop(self, running: Sequence[Path] = ()) -> None:
        """End the workers, each after its checkpoint; at once if a second interrupt arrives."""
        with self._lock:
            self._stopping = True
            workers = list(self._workers)
        try:
            for worker in workers:
                worker.terminate()
                with suppress(ProcessLookupError, AttributeError):  # Windows has no SIGCONT
                    worker.send_signal(signal.SIGCONT)  # one that was stopped would not see the other signal
            deadline = time.monotonic() + GRACE
            for worker in workers:
                with suppress(subprocess.TimeoutExpired):
                    worker.wait(max(0.1, deadline - time.monotonic()))
        finally:
            for worker in workers:
                worker.kill()
        for worker in workers:
            worker.wait()

    def _serve(self, todo: deque[Path]) -> None:
        """Keep one worker busy, and record why if none can be started."""
        try:
            self._keep_busy(todo)
        except Exception as error:  # there are too many processes or open files, for example
            self._failure = named(error)

    def _keep_busy(self, todo: deque[Path]) -> None:
        """Keep one worker busy until nothing is left to do; a worker that dies is replaced for the next folder."""
        while todo and not self._disk:
            with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
                with self._lock:
                    if self._stopping:
                        return
                    worker = _start(errors)
                    self._workers.add(worker)
                with worker:  # closes its pipes
                    answered = self._feed(worker, todo)
                self._workers.discard(worker)
                if not answered and not self._stopping:
                    errors.seek(0)
                    self._failure = (errors.read().strip().splitlines() or ["a worker ended without a message"])[-1]
                    return

    def _feed(self, worker: subprocess.Popen[str], todo: deque[Path]) -> bool:
        """Hand folders to a worker until it dies or none is left; whether it ever became ready."""
        assert worker.stdin is not None
        ready = bool(_answer(worker, "ready"))
        while ready and todo and not self._disk:
            try:
                folder = todo.popleft()
            except IndexError:  # another thread took the last one
                break
            line = json.dumps(str(folder))  # in every locale the same, and never two lines
            with suppress(BrokenPipeError):  # it died before it could read
                worker.stdin.write(f"{line}\n")
                worker.stdin.flush()
            answer = _answer(worker, f"{line}\t")
            if not answer:
                self.deaths[folder] = _death(worker.wait())
                self.troubles.pop(folder, None)
                break
            trouble = answer.removeprefix(f"{line}\t").rstrip("\n")
            if trouble.startswith("the results cannot be written"):
                self._disk = trouble
            elif trouble:
                self.troubles[folder] = trouble
        with suppress(BrokenPipeError):
            worker.stdin.close()
        worker.wait()
        return ready


def _answer(worker: subprocess.Popen[str], start: str) -> str:
    """The next line from a worker that starts so, whatever else has come through its pipe; empty where it died."""
    assert worker.stdout is not None
    return next((line for line in worker.stdout if line.startswith(start)), "")


def _death(code: int) -> str:
    """How a process ended, from its exit code."""
    with suppress(ValueError):
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return f"signal {-code}"


def _start(errors: IO[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        COMMAND,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        encoding="utf-8",
        errors="replace",
        # Ctrl-C reaches this process alone, which then stops its workers. In a new session they would be scheduled
        # apart from it, whatever its niceness.
        process_group=0,
    )
