"""The Hydra application behind `HydraPool`: one job runs one folder of a list."""

import json
from dataclasses import dataclass
from pathlib import Path

import hydra
from hydra.core.config_store import ConfigStore

from normexp.config.hydra_setup import VERSION_BASE
from normexp.sweep.worker import execute


@dataclass
class Job:
    """folders: a JSON file with a list of run folders. index: the one to run."""

    folders: str
    index: int


@hydra.main(config_path=None, config_name="job", **VERSION_BASE)
def main(job: Job) -> None:
    execute(Path(json.loads(Path(job.folders).read_text("utf-8"))[job.index]))


if __name__ == "__main__":
    ConfigStore.instance().store(name="job", node=Job)
    main()
