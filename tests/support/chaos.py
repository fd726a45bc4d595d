"""Sweeps that are killed and whose files are damaged at random, until each has ended; what that cost."""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from normexp.records.folder import RunFolder
from tests.support.damage import DAMAGES
from tests.support.runs import alive, environment

LINE = (
    *("sweep", "--name=try", "--jobs=2", "depth=1", "steps=24", "model.width=16", "model.heads=2"),
    *("model.feed_forward=32", "data.pairs=300", "training.batch_tokens=400", "training.device=cpu"),
    *("record.sentences=4", "record.checkpoint_every=3", "variant=post_ln,pre_ln", "model.dropout=0.1"),
)
TABLES = ("curves.parquet", "layers.parquet")
KILLS = ("all", "worker", "parent")
MARK = "NORMEXP_CHAOS"  # in the environment of every process that a sweep starts
UNDISTURBED = 3  # commands in a row that may end without completing the sweep
LEFT_AFTER = 60.0  # seconds that workers have to notice that their parent is gone
BUSY = 900.0  # seconds that an undisturbed command may take on a busy machine


@dataclass
class Outcome:
    """What happened. lost: runs that did not complete. different: tables with other bytes than undisturbed ones."""

    kills: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KILLS, 0))
    damages: dict[str, int] = field(default_factory=lambda: dict.fromkeys(DAMAGES, 0))
    commands: int = 0
    sweeps: int = 0
    lost: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    tracebacks: list[str] = field(default_factory=list)
    left: list[int] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not (self.lost or self.different or self.tracebacks or self.left)

    def __str__(self) -> str:
        kills = ", ".join(f"{count} {kind}" for kind, count in self.kills.items())
        done = sum(self.kills.values()), kills, sum(self.damages.values()), self.commands, self.sweeps
        faults = len(self.lost), len(self.different), len(self.tracebacks), len(self.left)
        return "{} kills ({}) and {} damages in {} commands, {} sweeps completed: ".format(
            *done
        ) + "{} runs lost, {} tables different, {} tracebacks, {} processes left".format(*faults)


class Chaos:
    """Sweeps of two runs for each seed, in folders of their own; each is compared with one that nothing disturbs."""

    def __init__(self, folder: Path, seeds: int = 2, seed: int = 0) -> None:
        self.folder, self.random, self.outcome = folder, random.Random(seed), Outcome()
        self.line = (*LINE, f"seed=range({seeds})")
        self.mark = uuid.uuid4().hex
        start = time.monotonic()
        calm = self._start(folder / "calm")
        assert calm.wait(BUSY) == 0
        self.length = time.monotonic() - start
        self.tables = _tables(folder / "calm")
        assert len(self.tables) == 2 * seeds * len(TABLES)

    def run(self, kills: int, damages: int, say: Callable[[object], None] = lambda outcome: None) -> Outcome:
        """So many of each, in random order, each at a random moment. say: called after every sweep."""
        events = [KILLS[i % len(KILLS)] for i in range(kills)]
        events += [list(DAMAGES)[i % len(DAMAGES)] for i in range(damages)]
        self.random.shuffle(events)
        todo = iter(events)
        event = next(todo, None)
        while event or not self.outcome.sweeps:
            event = self._sweep(event, todo, self.folder / f"storm{self.outcome.sweeps}")
            say(self.outcome)
        return self.outcome

    def _sweep(self, event: str | None, events: Iterator[str], path: Path) -> str | None:
        """Bring one sweep to its end; the event that it ended before."""
        failures = 0
        while True:
            command = self._start(path)
            disturbed = damaged = False
            while event and self._running(command, self.random.uniform(0, 0.8 * self.length)):
                disturbed = True
                damaged |= event in DAMAGES
                stops = self._happen(event, command, path)
                event = next(events, None)
                if stops:
                    break
            code = command.wait(BUSY)
            self._check_left()
            failures = 0 if disturbed else failures + 1
            # A command draws its figures after its last check of the runs, so it cannot see a damage of that time.
            if (code == 0 and not damaged) or failures == UNDISTURBED:
                break
        self.outcome.sweeps += 1
        self._compare(path)
        return event

    def _start(self, path: Path) -> subprocess.Popen[bytes]:
        path.mkdir(parents=True, exist_ok=True)
        self.outcome.commands += 1
        env = environment() | {MARK: self.mark, "OMP_NUM_THREADS": "1"}
        with (path / "stderr.txt").open("ab") as errors:
            command = [sys.executable, "-m", "normexp", *self.line]
            return subprocess.Popen(command, cwd=path, env=env, stdout=subprocess.DEVNULL, stderr=errors)

    def _running(self, command: subprocess.Popen[bytes], seconds: float) -> bool:
        """Whether the command still runs after so many seconds."""
        with suppress(subprocess.TimeoutExpired):
            command.wait(seconds)
        return command.returncode is None

    def _happen(self, event: str, command: subprocess.Popen[bytes], path: Path) -> bool:
        """Kill or damage something; whether that ends the command."""
        if event in DAMAGES:
            while not (files := _files(path)) and self._running(command, 0.2):
                pass  # it has written nothing yet
            self.outcome.damages[event] += bool(files)
            with suppress(FileNotFoundError, IndexError):  # it was replaced at this moment
                DAMAGES[event](self.random.choice(files))
            return False
        workers = [pid for pid in self._processes() if pid != command.pid]
        chosen = {"all": [command.pid, *workers], "parent": [command.pid]}.get(event) or [
            self.random.choice(workers or [command.pid])
        ]
        self.outcome.kills[event] += 1
        for pid in chosen:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return command.pid in chosen

    def _processes(self) -> list[int]:
        """All that the sweeps have started and that is alive."""
        mark = f"{MARK}={self.mark}".encode()
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):
                if mark in path.read_bytes() and alive(int(path.parent.name)):
                    found.append(int(path.parent.name))
        return found

    def _check_left(self) -> None:
        deadline = time.monotonic() + LEFT_AFTER
        while (left := self._processes()) and time.monotonic() < deadline:
            time.sleep(0.1)
        self.outcome.left += left

    def _compare(self, path: Path) -> None:
        said = (path / "stderr.txt").read_text(errors="replace")
        self.outcome.tracebacks += [f"{path.name}: {said[-2000:]}"] if "Traceback" in said else []
        found = _tables(path)
        missing = {name for name, _ in set(self.tables) - set(found)}
        self.outcome.lost += [f"{path.name}/{name}" for name in sorted(missing)]
        self.outcome.different += [
            f"{path.name}/{name}/{table}"
            for (name, table), data in sorted(found.items())
            if data != self.tables[name, table]
        ]


def _files(path: Path) -> list[Path]:
    """All that a sweep has written, but links."""
    return sorted(file for file in path.glob("results/*/**/*") if file.is_file() and not file.is_symlink())


def _tables(path: Path) -> dict[tuple[str, str], bytes]:
    """The tables of the runs that are complete, by run and name."""
    folders = [folder for folder in path.glob("results/try/*/") if RunFolder(folder).status["state"] == "completed"]
    return {(folder.name, table): (folder / table).read_bytes() for folder in folders for table in TABLES}


def chaos(
    kills: int, damages: int, seeds: int = 1, seed: int = 0, say: Callable[[object], None] = lambda outcome: None
) -> Outcome:
    """Run it in a temporary folder. The same seed gives the same events; their moments depend on the machine."""
    with tempfile.TemporaryDirectory() as folder:
        return Chaos(Path(folder), seeds, seed).run(kills, damages, say)
