"""One run folder from its config to its end: build, train, record, resume.

`python -m normexp.sweep.worker` is a worker process: it reads the names of run folders from its standard input, one a
line as JSON, runs each, and writes a line when it is done: the name as it was read, and after a tab what is wrong, if
the run could not be started or the disk not be written to. It exits when its input ends, also in the middle of a run,
because then the process that started it is gone. After SIGTERM it writes a checkpoint of the run that it is training
and exits.
"""

import json
import logging
import os
import platform
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

from normexp.config.choice import add_to_path
from normexp.config.identity import choices, user_sources
from normexp.config.schema import Config
from normexp.errors import StoppedError, disk_error, named
from normexp.records.atomic import remove_leftovers
from normexp.records.folder import RunFolder, is_current, measurements

if TYPE_CHECKING:
    from normexp.training.loop import Steps

log = logging.getLogger("normexp")
at_work: ContextVar[Path | None] = ContextVar("at_work", default=None)  # the run folder; each of several has a context
BEAT = 10.0  # seconds between signs of life


def never() -> bool:
    """Go on until the run has ended."""
    return False


@contextmanager
def beating(folder: RunFolder) -> Iterator[None]:
    """Touch the run's lock now and every BEAT seconds, for those who cannot see the process or its lock."""
    over = threading.Event()

    def beat() -> None:
        folder.beat()
        while not over.wait(BEAT):
            folder.beat()

    threading.Thread(target=beat, daemon=True).start()
    try:
        yield
    finally:
        over.set()


def execute(path: Path, stop: Callable[[], bool] = never) -> None:
    """Bring a run folder to its end, from whatever state it is in, and with it those that are stacked on it.

    An error is recorded in the folder and not raised, except OSError where the folder cannot be written to.
    stop: whether to end after the current step; then a checkpoint is left and StoppedError raised.
    """
    folder = RunFolder(path)
    if not (stacked := folder.stacked):
        for _ in steps_of(folder, stop):
            pass
        return
    from normexp.training.together import together

    together([steps_of(folder, stop), *(_unless_busy(steps_of(each, stop, wait=False)) for each in stacked)])


def _unless_busy(steps: "Steps") -> "Steps":
    """The same run, or none at all where another process has it."""
    with suppress(BlockingIOError):
        yield from steps


def steps_of(folder: RunFolder, stop: Callable[[], bool], *, wait: bool = True) -> "Steps":
    """Bring one run folder to its end, see `execute`; it yields before every backward.

    Without `wait`, raises BlockingIOError if another process holds the run.
    """
    path = folder.path
    with folder.lock(wait=wait), beating(folder):
        remove_leftovers(path)
        removed = folder.discard_foreign()
        config = folder.config
        add_to_path(config.config_dirs)
        if folder.finished_as(config):
            return
        at_work.set(path)
        handler = logging.FileHandler(folder.log)
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        handler.addFilter(lambda record: at_work.get() == path)
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        logging.raiseExceptions = False  # where the disk is full, the run says so, not its log
        try:
            for name in removed:
                log.info("removed %s, which was not a regular file", name)
            yield from _attempt(folder, config, stop)
        except StoppedError as stopped:
            log.info("%s", stopped)
            raise
        except Exception as error:
            log.error("%s", traceback.format_exc())
            folder.update(state="failed", error=_reason(error, config))
            if isinstance(error, OSError) and disk_error(error):
                raise
        finally:
            log.removeHandler(handler)
            handler.close()


def _attempt(folder: RunFolder, config: Config, stop: Callable[[], bool]) -> "Steps":
    status, asked = folder.status, measurements(config)
    damage = folder.damage(config, status, thorough=True)
    measured = folder.measured
    if damage and status["state"] == "damaged" and measured == asked:  # only the status is lost
        log.info("repaired: %s", damage)
        damage = folder.damage(config, status | {"state": "interrupted"}, thorough=True)
    if damage:
        log.info("%s; running again from step 1", damage)
    if damage or measured != asked or not is_current(status) or status["state"] == "completed":
        folder.reset()  # the tables on disk are damaged, or lack what is to be measured now
    attempt = status["attempts"] + 1
    folder.update(state="running", attempts=attempt, measured=asked, error=None)
    log.info("attempt %d on %s", attempt, platform.node())
    if config.record.trunk and not folder.checkpoint.exists():
        _branch(folder, config)
    yield from start(folder, config, stop)


def _branch(folder: RunFolder, config: Config) -> None:
    """Start from a shorter run, if there is one. Pandas is imported here, for the same reason as torch below."""
    from normexp.training.trunk import branch

    if branched := branch(folder, config):
        log.info("%s", branched)


def start(folder: RunFolder, config: Config, stop: Callable[[], bool] = never) -> "Steps":
    """Build what the config describes and train it. Torch is imported here, because planning does not need it."""
    import torch

    from normexp.data.corpus import load_corpus
    from normexp.records.provenance import provenance
    from normexp.training.loop import training

    torch.set_num_threads(config.training.threads)
    corpus = load_corpus(config.data)
    if any(earlier.get("data_sha256") != corpus.digest for earlier in folder.provenance):
        log.info("the data differs from the earlier attempt (another version of Babel?); restarting from step 1")
        folder.reset()
    sources = user_sources(config.config_dirs, choices(config))
    made = provenance(corpus.digest, corpus.summary, sources, config.training.threads)
    folder.append_provenance(made | {"measured": measurements(config)})
    yield from training(folder, config, corpus, stop)


def _reason(error: Exception, config: Config) -> str:
    """The error in one line; where memory was short, with what the run needs and what to change."""
    said = named(error)
    if isinstance(error, MemoryError) or "out of memory" in said or "can't allocate memory" in said:
        from normexp.sweep.sizes import memory_advice

        return f"out of memory: {memory_advice(config)}"
    return said


class _Stop:
    """What a run asks after every step; the first question says that there is something to keep."""

    wanted = False
    trains = False

    def __call__(self) -> bool:
        self.trains = True
        return self.wanted


def serve() -> None:
    """Run the folders that standard input names until it ends or SIGTERM arrives."""
    # What a user's class prints, or a C library, or a process that one of them starts, must not pass for an answer.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    folders: queue.Queue[str] = queue.Queue()
    idle, stop = threading.Event(), _Stop()
    idle.set()

    def on_signal(number: int, frame: object) -> None:
        if idle.is_set() or stop.wanted or not stop.trains:
            os._exit(128 + number)
        stop.wanted = True

    def read() -> None:
        for line in sys.stdin:
            idle.clear()
            folders.put(line.rstrip("\n"))
        if not idle.is_set():
            os._exit(1)  # the run is left with its last checkpoint, as after a kill
        folders.put("")

    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):  # Windows has no SIGHUP
            signal.signal(getattr(signal, name), on_signal)
    threading.Thread(target=read, daemon=True).start()
    print("\nready", file=answers, flush=True)  # on a line of its own, whatever came before
    while folder := folders.get():
        trouble, stop.trains = "", False
        try:
            execute(Path(json.loads(folder)), stop)
        except StoppedError:
            os._exit(128 + signal.SIGTERM)  # everything is on disk, and leaving in order takes seconds
        except OSError as error:
            trouble = disk_error(error) or named(error)
        except Exception as error:  # its config.yaml, for example, was damaged after the sweep had written it
            trouble = named(error)
        idle.set()
        print(f"{folder}\t{' '.join(trouble.split())}", file=answers, flush=True)


if __name__ == "__main__":
    serve()
