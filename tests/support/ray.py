"""A Ray cluster of two nodes with a CPU each, on this machine, started by a test and stopped after it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.runs import descendants, wait_until

START = (Path(sys.executable).with_name("ray"), "start", "--block", "--num-cpus=1", "--object-store-memory=80000000")

SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}  # of the nodes and of what connects to them


@contextmanager
def cluster() -> Iterator[tuple[str, int]]:
    """The address of the cluster, and the process of its second node, below which its tasks run."""
    port = next(port for port in range(7800, 7900) if is_free(port))  # others of Ray's servers take higher ones
    folder = Path(tempfile.mkdtemp(prefix="ray"))  # a short path, because Ray makes sockets below it
    head = ("--head", "--node-ip-address=127.0.0.1", f"--port={port}", "--include-dashboard=false")
    started: list[subprocess.Popen[bytes]] = []
    try:
        for name, words in (("head", (*head, f"--temp-dir={folder}")), ("node", (f"--address=127.0.0.1:{port}",))):
            log = folder / f"{name}.log"
            with log.open("wb") as output:
                started.append(
                    subprocess.Popen(
                        [*START, *words],
                        stdout=output,
                        stderr=output,
                        start_new_session=True,
                        env=os.environ | SETTINGS,
                    )
                )
            wait_until(lambda log=log: "Ray runtime started" in log.read_text())
        yield f"127.0.0.1:{port}", started[1].pid
    finally:
        for process in reversed(started):
            kill(process.pid)
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def is_free(port: int) -> bool:
    with socket.socket() as server:
        return server.connect_ex(("127.0.0.1", port)) != 0


def kill(pid: int) -> None:
    """Kill a node with all that runs on it, as when its machine is lost."""
    for each in descendants(pid):
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)
