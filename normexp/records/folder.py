"""The run folder: its config, its status, its lock, and where everything else in it lies."""

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from normexp.config.choice import user_sources
from normexp.errors import ConfigError
from normexp.records.tables import SCHEMAS

UNFINISHED = ("pending", "running", "killed")


def made(path: Path, key: str) -> Path:
    """The folder that a user named by `key`, created if needed; raises ConfigError if it cannot be made or written."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{key}={path}: a folder that can be made is right ({error.strerror})") from error
    if not os.access(path, os.W_OK):
        raise ConfigError(f"{key}={path}: a folder that can be written is right")
    return path


class RunFolder:
    """One run on disk. The truth about a run is what stands here, never what a process returned."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self.checkpoint = path / "checkpoint.pt"
        self.weights = path / "weights.pt"
        self.log = path / "log.txt"

    def create(self, config: dict[str, Any]) -> None:
        """The folder with its config, status pending; one that exists keeps its status and what is recorded."""
        self.path.mkdir(parents=True, exist_ok=True)
        _write(self.path / "config.yaml", yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
        if not (self.path / "status.json").is_file():
            self.update(state="pending", attempts=0)

    @property
    def config(self) -> dict[str, Any]:
        """The resolved config: it alone rebuilds the run."""
        return yaml.safe_load((self.path / "config.yaml").read_text())

    @property
    def finished(self) -> bool:
        """Whether the run is complete, with all that its config asks to be measured."""
        status = self.status
        return status["state"] == "completed" and status["measured"] == measured(self.config)

    @property
    def status(self) -> dict[str, Any]:
        """What is known of the run; a run whose process has gone reads as killed."""
        status = json.loads((self.path / "status.json").read_text())
        if status["state"] == "running" and not self.locked:
            status["state"] = "killed"
        return status

    def update(self, **values: Any) -> None:
        """Merge values into status.json, atomically."""
        path = self.path / "status.json"
        status = json.loads(path.read_text()) if path.is_file() else {}
        status |= values | {"heartbeat": time.time(), "pid": os.getpid(), "host": socket.gethostname()}
        _write(path, json.dumps(status, indent=1))

    def forget(self) -> None:
        """Drop what was recorded so far, so that the run starts again from its first step."""
        tables = (f"{table}.parquet" for table in SCHEMAS)
        for name in ("checkpoint.pt", "weights.pt", "provenance.json", *tables):
            (self.path / name).unlink(missing_ok=True)

    @property
    def provenance(self) -> list[dict[str, Any]]:
        """Where each attempt came from."""
        path = self.path / "provenance.json"
        return json.loads(path.read_text()) if path.is_file() else []

    def attempt(self, provenance: dict[str, Any]) -> None:
        """Keep where this attempt comes from, beside the earlier ones."""
        _write(self.path / "provenance.json", json.dumps([*self.provenance, provenance], indent=1))

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Only one process works on a run; a second one waits here. The lock goes with its process."""
        with (self.path / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @property
    def locked(self) -> bool:
        """Whether a process is at work on this run now."""
        try:
            with (self.path / "lock").open("r") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False


def measured(config: dict[str, Any]) -> str:
    """What a config asks to be measured, as text: other keys say what is trained."""
    asked = [config["probe"], config["probes"], user_sources(config, "probes")]
    return json.dumps(asked, sort_keys=True)


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text)
    os.replace(temporary, path)
