"""One job from its config to a finished run folder: build, train, record, resume."""

import logging
import platform
import traceback
from pathlib import Path
from typing import Any

from normexp.config.choice import import_from, user_sources
from normexp.data.corpus import load_corpus
from normexp.records.folder import RunFolder, measured

log = logging.getLogger("normexp")


def execute(path: Path) -> None:
    """Bring a run folder to its end, from wherever it stands; what goes wrong is recorded in it, never raised."""
    folder = RunFolder(path)
    with folder.lock():
        config = folder.config
        import_from(config["config_dirs"])
        if folder.finished:
            return
        handler = logging.FileHandler(folder.log)
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        try:
            status, asked = folder.status, measured(config)
            if status.get("measured") != asked:
                folder.forget()  # what is on disk lacks what is now to be measured
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


def start(folder: RunFolder, config: dict[str, Any]) -> None:
    """Build what the config asks for and train it. Torch comes in here, so that a dry run never waits for it."""
    import torch

    from normexp.records.provenance import provenance
    from normexp.training.loop import train

    torch.set_num_threads(config["training"]["threads"])
    corpus = load_corpus(config)
    if any(earlier["data_sha256"] != corpus.digest for earlier in folder.provenance):
        log.info("the data is not what an earlier attempt saw (another version of Babel?): starting again")
        folder.forget()
    folder.attempt(provenance(corpus.digest, user_sources(config)))
    train(folder, config, corpus)
