"""The run folder: its config, its status, its lock, and the paths of everything else in it."""

import json
import math
import os
import re
import shutil
import socket
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from normexp.config.identity import IDENTITY_VERSION, user_sources
from normexp.config.schema import Config, from_dict, to_dict
from normexp.errors import ConfigError
from normexp.records import intact, lock
from normexp.records.atomic import replacing
from normexp.records.reading import Damaged, read_bytes, read_json, read_yaml

NO_RUNS = ("figures", "jobs")  # folders of a run or a sweep that hold no runs
STATES = ("pending", "running", "completed", "failed")  # as status.json has them
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # in C where the library has it: a quarter of the time
MOST_SECTIONS = 10_000  # of YAML that are remembered
_sections: dict[str, str] = {}
UNFINISHED = ("pending", "running", "interrupted", "damaged")
TABLE_FILES = ("curves.parquet", "layers.parquet", "timing.parquet")
FILES = (
    *("config.yaml", "status.json", "provenance.json", "lock", "log.txt", intact.NAME),
    *("checkpoint.pt", "trunk.pt", "weights.pt", *TABLE_FILES),
)
NUMBERS = (
    *("final_loss", "valid_loss", "permuted_loss", "token_accuracy", "accuracy", "bleu", "chrf", "parameters"),
    *("step", "loss", "seconds", "attempts", "diverged_at", "heartbeat", "pid", "format"),
    *("tokens_per_step", "flops_per_token"),
)
KEPT = (
    "state",
    "attempts",
    "format",
    "heartbeat",
    "pid",
    "host",
    "error",
    "stacked",
    "measured",
)  # by a run that starts again
TEXTS = ("state", "outcome", "error", "first_to_go", "host", "measured")


_OF_A_RUN = re.compile(r"-[0-9a-f]{8}$")  # how the name of a run ends


def ensure_writable_dir(path: Path, key: str) -> Path:
    """The folder that a user gave as `key`, created if needed. Raises ConfigError if that or writing is impossible."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{key} must be a folder that can be created; got {path} ({reason})") from error
    if not os.access(path, os.W_OK):
        raise ConfigError(f"{key} must be a folder that can be written to; got {path}")
    return path


LARGEST = 2**63  # whole number in a status
SILENT = 60.0  # seconds without a sign of life after which a run is no longer taken to be running


class RunFolder:
    """One run on disk. What the folder says about a run is the truth, never what a process returned.

    Whatever is wrong with its files is a state of the run, `damaged`, and never an error of who reads it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self.checkpoint = path / "checkpoint.pt"
        self.trunk = path / "trunk.pt"
        self.weights = path / "weights.pt"
        self.log = path / "log.txt"

    def create(self, config: Config) -> None:
        """Write the folder with its config, status pending. One that exists keeps its status and its tables.

        Raises ConfigError if a link or a file has the folder's name.
        """
        if self.path.is_symlink() or (self.path.exists() and not self.path.is_dir()):
            raise ConfigError(f"{self.path} must be a folder, not a link or a file; remove it")
        self.path.mkdir(parents=True, exist_ok=True)
        text = as_yaml(to_dict(config))
        path = self.path / "config.yaml"
        try:
            same = read_bytes(path, len(text.encode()) + 1) == text.encode()
        except Damaged:
            same = False
        if not same:
            with intact.sealing(path) as temporary:
                temporary.write_text(text, "utf-8")
        if not os.path.lexists(self.path / "status.json"):
            self.update(state="pending", attempts=0)

    @property
    def config(self) -> Config:
        """The resolved config, which alone rebuilds the run. Raises Damaged."""
        path = self.path / "config.yaml"
        try:
            return from_dict(read_yaml(path))
        except (TypeError, AttributeError, KeyError) as error:
            raise Damaged(path, "is not a config of normexp") from error

    @property
    def finished(self) -> bool:
        """Whether the run is complete, with everything measured that its config asks for."""
        return self.finished_as(self.config)

    def finished_as(self, config: Config) -> bool:
        """The same for a config at hand, without reading config.yaml."""
        status = self.status
        if status["state"] != "completed" or status.get("measured") != measurements(config):
            return False
        return is_current(status) and not self.damage(config, status)

    @property
    def status(self) -> dict[str, Any]:
        """What is known of the run: always a state and the number of attempts.

        A run whose process has ended early reads as interrupted, one whose status cannot be read as damaged, with
        what is wrong as its error.
        """
        try:
            status = checked_status(self.path / "status.json")
        except Damaged as error:
            gone = not self.path.is_dir()
            return {"state": "damaged", "attempts": 0, "error": "its folder is gone" if gone else str(error)}
        if status["state"] == "running" and not self.locked:
            status["state"] = "interrupted"
        return status

    def update(self, **values: Any) -> None:
        """Merge values into status.json, atomically. Raises OSError where that cannot be written."""
        path = self.path / "status.json"
        try:
            status = checked_status(path)
        except Damaged:
            status = {"state": "pending", "attempts": 0}
            discard_foreign(path)
        status |= {"format": IDENTITY_VERSION, **values}
        status |= {"heartbeat": time.time(), "pid": os.getpid(), "host": socket.gethostname()}
        _write(path, json.dumps(status, indent=1))

    def damage(self, config: Config, status: Mapping[str, Any], *, thorough: bool = False) -> str:
        """What is wrong with the files that a run in this state needs, as a sentence; empty if nothing is.

        thorough: also where the size and the time of a file are as they were.
        """
        if status["state"] == "damaged":
            return str(status["error"])
        needed = list(TABLE_FILES)
        if status["state"] == "completed":
            needed += ["weights.pt"] if config.steps else []
        elif os.path.lexists(self.checkpoint):
            needed += ["checkpoint.pt"]
        else:
            return ""  # it starts from its first step
        try:
            intact.check_intact(self.path, needed, thorough=thorough)
        except Damaged as error:
            return str(error)
        return ""

    def reset(self) -> None:
        """Delete what was recorded so far, so that the run starts again from its first step."""
        for name in ("checkpoint.pt", "trunk.pt", "weights.pt", "provenance.json", *TABLE_FILES):
            _discard(self.path / name)
        intact.keep(self.path, "config.yaml")
        with suppress(Damaged):
            status = checked_status(self.path / "status.json")
            _write(self.path / "status.json", json.dumps({key: status[key] for key in KEPT if key in status}, indent=1))

    def discard_foreign(self) -> list[str]:
        """Remove links, FIFOs and folders that have the name of one of the run's files; return the names."""
        return [name for name in FILES if discard_foreign(self.path / name)]

    @property
    def provenance(self) -> list[dict[str, Any]]:
        """Where each attempt came from; empty if that cannot be read."""
        return read_provenance(self.path)

    @property
    def is_ours(self) -> bool:
        """Whether the folder is one that normexp has written, by its name or by files that no other program writes."""
        named = _OF_A_RUN.search(self.path.resolve().name)
        return bool(named) or any(os.path.lexists(self.path / name) for name in (intact.NAME, "provenance.json"))

    def append_provenance(self, provenance: dict[str, Any]) -> None:
        """Add where this attempt comes from to the earlier ones."""
        _write(self.path / "provenance.json", json.dumps([*self.provenance, provenance], indent=1))

    @property
    def measured(self) -> str | None:
        """What the tables of the earlier attempts measure, see `measurements`."""
        from_status = self.status.get("measured")
        return from_status or next((each.get("measured") for each in self.provenance[::-1]), None)

    @property
    def stacked(self) -> "list[RunFolder]":
        """The neighbours that train with this run as one batched model, where a sweep has said so."""
        return [RunFolder(self.path.parent / name) for name in self.status.get("stacked", ())]

    @property
    def silence(self) -> float:
        """Seconds since the run's process last touched the lock; infinite if none ever did."""
        try:
            return time.time() - os.lstat(self.path / "lock").st_mtime
        except OSError:
            return math.inf

    def beat(self) -> None:
        """Say that the run's process lives."""
        with suppress(OSError):
            os.utime(self.path / "lock", follow_symlinks=os.utime not in os.supports_follow_symlinks)

    @contextmanager
    def lock(self, *, wait: bool = True) -> Iterator[None]:
        """Blocks until no other process holds the run. The lock is released when the process exits.

        Without `wait`, raises BlockingIOError if another process holds it.
        """
        path = self.path / "lock"
        discard_foreign(path)
        with lock.holding(path, wait=wait):
            yield

    @property
    def locked(self) -> bool:
        """Whether a process holds the run now."""
        return lock.is_held(self.path / "lock")


def as_yaml(values: Mapping[str, Any]) -> str:
    """These values as YAML, section by section, because the runs of a large sweep have most sections in common."""
    if len(_sections) > MOST_SECTIONS:
        _sections.clear()
    parts = []
    for key, value in values.items():
        known = repr((key, value))
        if known not in _sections:
            _sections[known] = yaml.dump({key: value}, Dumper=DUMPER, sort_keys=False, allow_unicode=True)
        parts.append(_sections[known])
    return "".join(parts)


def measurements(config: Config) -> str:
    """What a config measures, as text. All other keys decide what is trained."""
    probes = {probe.name: {"_target_": probe.target, **probe.options} for probe in config.probes}
    sources = user_sources(config.config_dirs, config.probes)
    return json.dumps([{"every": config.probe.every}, probes, sources], sort_keys=True)


def checked_status(path: Path) -> dict[str, Any]:
    """What status.json says, with a known state and values of the right kinds. Raises Damaged."""
    status = read_json(path)
    if not isinstance(status, dict) or status.get("state") not in STATES:
        raise Damaged(path, "has no state that normexp knows")
    status.setdefault("attempts", 0)
    wrong = [key for key in NUMBERS if not _is_number(status.get(key))]
    wrong += [key for key in TEXTS if not isinstance(status.get(key), str | None)]
    baselines = status.get("baselines")
    if not isinstance(baselines, dict | None) or not all(type(v) in (int, float) for v in (baselines or {}).values()):
        wrong.append("baselines")
    stacked = status.get("stacked", [])
    if not isinstance(stacked, list) or not all(isinstance(each, str) and Path(each).name == each for each in stacked):
        wrong.append("stacked")
    if wrong or status["attempts"] is None:
        raise Damaged(path, f"has a wrong value of {(wrong or ['attempts'])[0]}")
    return dict(status)


def _is_number(value: Any) -> bool:
    """Whether a value of the status may be used as a number, or is none."""
    return value is None or type(value) is float or (type(value) is int and abs(value) < LARGEST)


def is_current(status: Mapping[str, Any]) -> bool:
    """Whether the run was recorded by the format that this version writes; one that does not say so counts as such."""
    return status.get("format") in (None, IDENTITY_VERSION)


def read_provenance(run: Path) -> list[dict[str, Any]]:
    """Where each attempt of a run came from; empty if that cannot be read."""
    try:
        found = read_json(run / "provenance.json", 16 * 2**20)
    except Damaged:
        return []
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def discard_foreign(path: Path) -> bool:
    """Remove what has this name and is not a regular file, so that nothing is written through it."""
    try:
        if stat.S_ISREG(os.lstat(path).st_mode):
            return False
    except OSError:
        return False
    _discard(path)
    return True


def _discard(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        with suppress(FileNotFoundError):
            path.unlink()


def _write(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, "utf-8")
