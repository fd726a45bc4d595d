"""A Ray cluster: one task per run, on whichever node has room."""

import logging
import os
import re
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from normexp.errors import ConfigError, DiskError, LaunchError, line_of
from normexp.records.folder import RunFolder
from normexp.sweep.plan import Sweep
from normexp.sweep.pools.local import GRACE, LocalPool
from normexp.sweep.pools.pool import Pool

LOCAL = "local"  # Ray's name for a cluster that is started for this command and ends with it
ADDRESS = re.compile(rf"{LOCAL}|auto|(\[[\da-fA-F:.]+\]|[^\s:/\[\]]+):\d{{1,5}}")  # auto: of a cluster on this machine
RETRIES = 3  # times that Ray starts a task again whose node or process was lost
ANSWER = 5.0  # seconds in which a cluster must accept a connection


class RayPool(Pool):
    """Tasks of Ray, each with a worker process of its own.

    If a node is lost, Ray starts the task on another one, which continues from the run's last checkpoint. A run asks
    for `ray.cpus` and `ray.gpus`, which may be a fraction: with 0.25, four runs share a GPU.
    """

    def __init__(self, sweep: Sweep, jobs: int) -> None:
        super().__init__()
        if find_spec("ray") is None:
            raise ConfigError("--pool ray needs ray; pip install 'normexp[ray]'")
        self.asked, self.jobs = sweep.runs[0].config.ray, jobs
        self.address = self.asked.address or os.environ.get("RAY_ADDRESS") or LOCAL
        if not ADDRESS.fullmatch(self.address):
            name = "ray.address" if self.asked.address else "RAY_ADDRESS"
            raise ConfigError(f"{name} must be HOST:PORT, as in 10.0.0.1:6379; got {self.address}")
        self._tasks: dict[Any, Path] = {}  # the folder of every task that is not done
        self._stopping = False

    def run(self, folders: Sequence[Path]) -> None:
        self._connect()
        in_thread(lambda: self._bring_all(deque(folders)))

    def stop(self, running: Sequence[Path] = ()) -> None:
        """Cancel the tasks, each after its checkpoint."""
        import ray

        self._stopping = True
        for task in list(self._tasks):
            ray.cancel(task)
        deadline = time.monotonic() + GRACE  # Ray calls a task done as soon as it is cancelled; the folders know
        while any(RunFolder(path).status["state"] == "running" for path in running) and time.monotonic() < deadline:
            time.sleep(0.1)

    def _bring_all(self, waiting: deque[Path]) -> None:
        import ray

        asked = {"num_cpus": self.asked.cpus, "num_gpus": self.asked.gpus, "max_retries": RETRIES}
        remote = ray.remote(bring).options(name="normexp", **asked)
        while (waiting or self._tasks) and not self._stopping:
            while waiting and not 0 < self.jobs <= len(self._tasks):
                folder = waiting.popleft()
                self._tasks[remote.remote(str(folder))] = folder
            (task,), _ = ray.wait(list(self._tasks))
            folder = self._tasks.pop(task)
            try:
                death = ray.get(task)
            except (DiskError, LaunchError):
                raise
            except ray.exceptions.RayError as error:
                death = f"Ray: {line_of(error)}"
            if death:
                self.deaths[folder] = death

    def _connect(self) -> None:
        """Raise LaunchError where no cluster answers, or where no node of it has what a run asks for."""
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent home unless the user wants it
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        import ray

        if not ray.is_initialized():
            _check_answers(self.address)
            options: dict[str, Any] = {"include_dashboard": False} if self.address == LOCAL else {}
            ours = signal.getsignal(signal.SIGTERM)  # Ray replaces it
            try:
                ray.init(self.address, log_to_driver=False, logging_level=logging.ERROR, **options)
            except Exception as error:
                raise LaunchError(f"the Ray cluster at {self.address} cannot be used: {line_of(error)}") from error
            finally:
                signal.signal(signal.SIGTERM, ours)
        asked = {"CPU": self.asked.cpus, "GPU": self.asked.gpus}
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
        if not any(all(node.get(kind, 0) >= count for kind, count in asked.items()) for node in nodes):
            raise LaunchError(
                f"no node of the Ray cluster has ray.cpus={asked['CPU']:g} and ray.gpus={asked['GPU']:g}; ask for less"
            )


def bring(folder: str) -> str:
    """Run a folder to its end in a process of its own; how that process died, or what it said was wrong, if so."""
    pool = LocalPool(1)
    try:
        in_thread(lambda: pool.run([Path(folder)]))
    except KeyboardInterrupt:  # how Ray cancels a task
        pool.stop()
        raise
    return pool.deaths.get(Path(folder), "") or pool.troubles.get(Path(folder), "")


def in_thread(work: Callable[[], object]) -> None:
    """Do this in a thread and wait for it, because an interrupt that arrives in a call of Ray's may be lost in it."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.2)
    if failures:
        raise failures[0]


def _check_answers(address: str) -> None:
    """Raise LaunchError for a host and port that accept no connection; Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if not host:
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER).close()
    except OSError as error:
        raise LaunchError(f"no Ray cluster answers at {address}: {error.strerror or error}") from error
