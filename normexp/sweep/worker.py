"""One run folder from its config to its end: build, train, record, resume.

`python -m normexp.sweep.worker` is a worker process: it reads the names of run folders from its standard input, one a
line, runs each, and writes a line when it is done. It exits when its input ends, also in the middle of a run, because
then the process that started it is gone.
"""

import logging
import os
import platform
import queue
import signal
import sys
import threading
import traceback
from pathlib import Path

from normexp.config.choice import add_to_path
from normexp.config.identity import choices, user_sources
from normexp.config.schema import Config
from normexp.records.atomic import remove_leftovers
from normexp.records.folder import RunFolder, measurements

log = logging.getLogger("normexp")


def execute(path: Path) -> None:
    """Bring a run folder to its end, from whatever state it is in. An error is recorded in the folder, never raised."""
    folder = RunFolder(path)
    with folder.lock():
        remove_leftovers(path)
        config = folder.config
        add_to_path(config.config_dirs)
        if folder.finished:
            return
        handler = logging.FileHandler(folder.log)
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        try:
            status, asked = folder.status, measurements(config)
            if status.get("measured") != asked:
                folder.reset()  # the tables on disk lack what is to be measured now
            attempt = status["attempts"] + 1
            folder.update(state="running", attempts=attempt, measured=asked, error=None)
            log.info("attempt %d on %s", attempt, platform.node())
            start(folder, config)
        except Exception as error:
            log.error("%s", traceback.format_exc())
            folder.update(state="failed", error=f"{type(error).__name__}: {error}")
        finally:
            log.removeHandler(handler)
            handler.close()


def start(folder: RunFolder, config: Config) -> None:
    """Build what the config describes and train it. Torch is imported here, because planning does not need it."""
    import torch

    from normexp.data.corpus import load_corpus
    from normexp.records.provenance import provenance
    from normexp.training.loop import train

    torch.set_num_threads(config.training.threads)
    corpus = load_corpus(config.data)
    if any(earlier["data_sha256"] != corpus.digest for earlier in folder.provenance):
        log.info("the data differs from the earlier attempt (another version of Babel?); restarting from step 1")
        folder.reset()
    sources = user_sources(config.config_dirs, choices(config))
    folder.append_provenance(provenance(corpus.digest, corpus.summary, sources, config.training.threads))
    train(folder, config, corpus)


def serve() -> None:
    """Run the folders that standard input names until it ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    sys.stdout = sys.stderr  # what a user's class prints must not pass for an answer
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    folders: queue.Queue[str] = queue.Queue()
    idle = threading.Event()
    idle.set()

    def read() -> None:
        for line in sys.stdin:
            idle.clear()
            folders.put(line.rstrip("\n"))
        if not idle.is_set():
            os._exit(1)  # the run is left with its last checkpoint, as after a kill
        folders.put("")

    threading.Thread(target=read, daemon=True).start()
    print("ready", file=answers, flush=True)
    while folder := folders.get():
        execute(Path(folder))
        idle.set()
        print(folder, file=answers, flush=True)


if __name__ == "__main__":
    serve()
