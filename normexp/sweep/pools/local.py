"""Worker processes on this machine."""

import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from normexp.errors import LaunchError
from normexp.sweep.pools.pool import Pool

COMMAND = (sys.executable, "-m", "normexp.sweep.worker")


class LocalPool(Pool):
    """`jobs` processes, each of which takes one folder after another.

    A worker reads the names of folders from its standard input and answers each with a line when it is done. If it
    dies, another one takes its place and its neighbours go on. If this process dies, its workers see the end of their
    input and exit.
    """

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self._workers: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()  # around the start of a worker, so that none starts once we stop
        self._stopping = False
        self._failure = ""

    def run(self, folders: Sequence[Path]) -> None:
        todo = deque(folders)
        threads = [threading.Thread(target=self._serve, args=(todo,), daemon=True) for _ in folders[: self.jobs]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._failure:
            raise LaunchError(self._failure)

    def stop(self, running: Sequence[Path] = ()) -> None:
        with self._lock:
            self._stopping = True
            workers = list(self._workers)
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait()

    def _serve(self, todo: deque[Path]) -> None:
        """Keep one worker busy until nothing is left to do; a worker that dies is replaced for the next folder."""
        while todo:
            with tempfile.TemporaryFile("w+") as errors:
                with self._lock:
                    if self._stopping:
                        return
                    worker = _start(errors)
                    self._workers.add(worker)
                try:
                    answered = _feed(worker, todo)
                finally:
                    self._workers.discard(worker)
                if not answered and not self._stopping:
                    errors.seek(0)
                    self._failure = (errors.read().strip().splitlines() or ["a worker ended without a message"])[-1]
                    return


def _start(errors: IO[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        COMMAND,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        encoding="utf-8",
        start_new_session=True,  # Ctrl-C reaches this process alone, which then stops its workers
    )


def _feed(worker: subprocess.Popen[str], todo: deque[Path]) -> bool:
    """Hand folders to a worker until it dies or none is left; whether it ever became ready."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    ready = bool(worker.stdout.readline())
    try:
        while ready and todo:
            try:
                folder = todo.popleft()
            except IndexError:  # another thread took the last one
                break
            worker.stdin.write(f"{folder}\n")
            worker.stdin.flush()
            if not worker.stdout.readline():
                break
        worker.stdin.close()
    except BrokenPipeError:  # it died before it could read
        pass
    worker.wait()
    return ready
