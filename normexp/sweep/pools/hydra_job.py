"""The Hydra application behind `HydraPool`: one job runs one folder of a list."""

import json
import socket
from dataclasses import dataclass
from pathlib import Path

import hydra
from hydra.core.config_store import ConfigStore

from normexp.config.hydra_setup import VERSION_BASE
from normexp.records.atomic import is_alive
from normexp.sweep.worker import execute


@dataclass
class Job:
    """folders: a JSON file with a list of run folders. index: the one to run. parent, host: who asks."""

    folders: str
    index: int
    parent: int
    host: str


@hydra.main(config_path=None, config_name="job", **VERSION_BASE)
def main(job: Job) -> None:
    listed, here = Path(job.folders), job.host == socket.gethostname()
    folder = Path(json.loads(listed.read_text("utf-8"))[job.index])
    execute(folder, stop=lambda: not listed.exists() or (here and not is_alive(job.parent)))


if __name__ == "__main__":
    ConfigStore.instance().store(name="job", node=Job)
    main()
