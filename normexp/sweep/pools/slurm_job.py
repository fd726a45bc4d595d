"""What a Slurm job runs: some run folders, from wherever they are to their end."""

from collections.abc import Sequence
from pathlib import Path

from submitit.helpers import Checkpointable

from normexp.sweep.pools.local import LocalPool
from normexp.sweep.worker import execute


class RunFolders(Checkpointable):
    """Called again after a requeue: the folders hold how far each run came."""

    def __call__(self, folders: Sequence[str]) -> None:
        if len(folders) == 1:
            execute(Path(folders[0]))
        else:  # they share the job's GPU
            LocalPool(len(folders)).run([Path(folder) for folder in folders])
