"""The run folder: its config, its status, its lock, and the paths of everything else in it."""

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

from normexp.config.identity import user_sources
from normexp.config.schema import Config, from_dict, to_dict
from normexp.errors import ConfigError
from normexp.records.atomic import replacing

UNFINISHED = ("pending", "running", "killed")


def ensure_writable_dir(path: Path, key: str) -> Path:
    """The folder that a user gave as `key`, created if needed. Raises ConfigError if that or writing is impossible."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{key} must be a folder that can be created; got {path} ({error.strerror})") from error
    if not os.access(path, os.W_OK):
        raise ConfigError(f"{key} must be a folder that can be written to; got {path}")
    return path


class RunFolder:
    """One run on disk. What the folder says about a run is the truth, never what a process returned."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self.checkpoint = path / "checkpoint.pt"
        self.weights = path / "weights.pt"
        self.log = path / "log.txt"

    def create(self, config: Config) -> None:
        """Write the folder with its config, status pending. One that exists keeps its status and its tables."""
        self.path.mkdir(parents=True, exist_ok=True)
        _write(self.path / "config.yaml", yaml.safe_dump(to_dict(config), sort_keys=False, allow_unicode=True))
        if not (self.path / "status.json").is_file():
            self.update(state="pending", attempts=0)

    @property
    def config(self) -> Config:
        """The resolved config, which alone rebuilds the run."""
        return from_dict(yaml.safe_load((self.path / "config.yaml").read_text()))

    @property
    def finished(self) -> bool:
        """Whether the run is complete, with everything measured that its config asks for."""
        return self.finished_as(self.config)

    def finished_as(self, config: Config) -> bool:
        """The same for a config at hand, without reading config.yaml."""
        status = self.status
        return bool(status["state"] == "completed" and status.get("measured") == measurements(config))

    @property
    def status(self) -> dict[str, Any]:
        """What is known of the run. A run whose process has ended early reads as killed."""
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

    def reset(self) -> None:
        """Delete what was recorded so far, so that the run starts again from its first step."""
        from normexp.records.tables import SCHEMAS  # here, because pandas and pyarrow take half a second

        tables = (f"{table}.parquet" for table in SCHEMAS)
        for name in ("checkpoint.pt", "weights.pt", "provenance.json", *tables):
            (self.path / name).unlink(missing_ok=True)

    @property
    def provenance(self) -> list[dict[str, Any]]:
        """Where each attempt came from."""
        path = self.path / "provenance.json"
        return json.loads(path.read_text()) if path.is_file() else []

    def append_provenance(self, provenance: dict[str, Any]) -> None:
        """Add where this attempt comes from to the earlier ones."""
        _write(self.path / "provenance.json", json.dumps([*self.provenance, provenance], indent=1))

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Blocks until no other process holds the run. The lock is released when the process exits."""
        with (self.path / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @property
    def locked(self) -> bool:
        """Whether a process holds the run now."""
        try:
            with (self.path / "lock").open("r") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False


def measurements(config: Config) -> str:
    """What a config measures, as text. All other keys decide what is trained."""
    probes = {probe.name: {"_target_": probe.target, **probe.options} for probe in config.probes}
    sources = user_sources(config.config_dirs, config.probes)
    return json.dumps([{"every": config.probe.every}, probes, sources], sort_keys=True)


def _write(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text)
