"""A run of seconds: as overrides, as a resolved config, as a command in a process of its own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from normexp.config.schema import Config
from normexp.records.folder import RunFolder
from normexp.sweep.executor import run_sweep
from normexp.sweep.plan import plan
from normexp.sweep.pools import Pool, make_pool
from normexp.sweep.worker import execute
from tests.support.configs import config_of

TINY = (
    "depth=1",
    "steps=20",
    "model.width=16",
    "model.heads=2",
    "model.feed_forward=32",
    "data.pairs=300",
    "training.batch_tokens=400",
    "training.device=cpu",
    "record.sentences=4",
)

# A sweep of twelve runs, each with checkpoints before its end, for what is killed and continued.
TWELVE = (*TINY, "name=try", "steps=150", "record.checkpoint_every=20", "model.dropout=0.1",
          "variant=post_ln,pre_ln,no_residual", "seed=range(4)")  # fmt: skip


class InProcess(Pool):
    """A pool that runs every folder in this process, which takes much less time than the start of a worker."""

    def run(self, folders: Sequence[Path]) -> None:
        for folder in folders:
            execute(folder)


def tiny_config(*overrides: str, config_dirs: Sequence[str] = ()) -> Config:
    """The config of a tiny run; later overrides win."""
    return config_of(*TINY, *overrides, config_dirs=config_dirs)


def normexp(*words: str, cwd: Path, **more: Any) -> subprocess.CompletedProcess[str]:
    """The command line as a user has it, run from `cwd`; results land in cwd/results."""
    command = [sys.executable, "-m", "normexp", *words]
    return subprocess.run(command, cwd=cwd, env=environment(), text=True, capture_output=True, timeout=900, **more)


def started(*words: str, cwd: Path) -> subprocess.Popen[str]:
    """The same without waiting for its end, in a session of its own."""
    return subprocess.Popen([sys.executable, "-m", "normexp", *words], cwd=cwd, env=environment(), text=True,
                            start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)  # fmt: skip


def swept(*overrides: str, cwd: Path, jobs: int = 2, config_dirs: Sequence[str] = ()) -> bool:
    """A sweep with worker processes, brought to its end without the table and the figures of the command line.

    Results land in cwd/results. True if all runs completed.
    """
    sweep = plan("sweep", [*overrides, f"results={cwd / 'results'}"], config_dirs=config_dirs)
    return run_sweep(sweep, make_pool("", sweep, jobs))


def environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k != "NORMEXP_RESULTS"} | {"COLUMNS": "200"}


def runs(results: Path) -> dict[str, RunFolder]:
    """Every run under a results folder, by the readable part of its name."""
    folders = (path.parent for path in sorted(results.glob("*/*/status.json")))
    return {folder.name.rpartition("-")[0]: RunFolder(folder) for folder in folders}


def same_tables(one: Path, other: Path) -> int:
    """How many tables the runs below two folders have, which must be the same bytes."""
    tables = [
        {(name, kind): (run.path / f"{kind}.parquet").read_bytes()
         for name, run in runs(each / "results").items() for kind in ("curves", "layers")}
        for each in (one, other)
    ]  # fmt: skip
    assert tables[0] == tables[1]
    return len(tables[0])


def status(run: RunFolder) -> dict[str, Any]:
    """What stands in status.json, word for word."""
    return json.loads((run.path / "status.json").read_text())


def wait_until(holds: Callable[[], Any], seconds: float = 300) -> None:
    """Poll until `holds()`; fail when it takes too long."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def descendants(pid: int) -> list[int]:
    """A process and all that came from it, as far as the parents are known."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        parents.setdefault(parent, []).append(int(path.parent.name))
    found = [pid]
    for each in found:
        found += parents.get(each, [])
    return found


def alive(pid: int) -> bool:
    """Whether a process runs; one that is only waiting to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
