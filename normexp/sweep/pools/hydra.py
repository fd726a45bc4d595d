"""Any Hydra launcher as a pool: `hydra/launcher=joblib`, submitit_local, ray, …"""

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from normexp.errors import LaunchError
from normexp.sweep.pools.local import GRACE
from normexp.sweep.pools.pool import Pool


class HydraPool(Pool):
    """Starts a small Hydra application in multirun mode; each of its jobs runs one folder.

    launcher: the overrides that start with `hydra`, such as hydra/launcher=joblib hydra.launcher.n_jobs=4.
    This needs only Hydra's public API. How many runs go at a time is the launcher's affair.
    """

    def __init__(self, sweep: Path, launcher: Sequence[str]) -> None:
        super().__init__()
        self.sweep, self.launcher = sweep, tuple(launcher)

    def run(self, folders: Sequence[Path]) -> None:
        with tempfile.TemporaryDirectory(prefix=".hydra-", dir=self.sweep) as scratch:
            listed = Path(scratch) / "folders.json"
            listed.write_text(json.dumps([str(folder) for folder in folders]), "utf-8")
            command = [sys.executable, "-m", "normexp.sweep.pools.hydra_job", "--multirun", *self.launcher]
            command += [f"hydra.sweep.dir='{scratch}/jobs'", f"folders='{listed}'", f"index=range({len(folders)})"]
            command += [f"parent={os.getpid()}", f"host='{socket.gethostname()}'"]
            said: dict[str, Any] = {"encoding": "utf-8", "errors": "replace"}
            # In a session of its own, so that Ctrl-C reaches it through us alone and its jobs leave a checkpoint.
            with subprocess.Popen(
                command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True, **said
            ) as launcher:
                try:
                    _, errors = launcher.communicate()
                except BaseException:
                    listed.unlink()  # which its jobs take as the sign to stop
                    with suppress(subprocess.TimeoutExpired):
                        launcher.communicate(timeout=GRACE)
                    launcher.kill()
                    raise
        if launcher.returncode:
            reason = (errors.strip().splitlines() or ["the launcher ended without a message"])[-1]
            raise LaunchError(reason)
