"""The interface of a pool."""

import os
import signal
import socket
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from normexp.records.folder import RunFolder


class Pool(ABC):
    """Brings run folders to workers, on this machine or on others.

    A worker calls `normexp.sweep.worker.execute(folder)`, which builds, trains and records the run, resumes it where it
    was interrupted, and waits for the folder's lock. So a pool needs to know nothing of configs, and may be wrong
    about how a run ended: the executor reads that from the folder.
    """

    def __init__(self) -> None:
        self.troubles: dict[Path, str] = {}  # by run folder, why its worker could not run it, if the worker said so
        self.deaths: dict[Path, str] = {}  # by run folder, how its worker died before it answered, if the pool knows

    @abstractmethod
    def run(self, folders: Sequence[Path]) -> None:
        """Return when no worker is busy with any of these folders.

        May raise if workers cannot be started, and DiskError if a worker could not write to the disk.
        """

    def stop(self, running: Sequence[Path]) -> None:
        """Called after an interrupt: end the workers. By default the processes that the folders name, if local."""
        for path in running:
            status = RunFolder(path).status
            if status.get("host") == socket.gethostname():
                with suppress(ProcessLookupError):
                    os.kill(status["pid"], signal.SIGTERM)
