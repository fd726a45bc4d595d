"""A Slurm cluster of one node on the loopback interface, started by a test and stopped after it."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch")
PACKAGES = "slurmctld slurmd slurm-client munge"
CONFIG = """\
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={daemon}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
SwitchType=switch/none
MpiDefault=none
SchedulerParameters=batch_sched_delay=1,sched_interval=2
SlurmdParameters=config_overrides
MinJobAge=300
KillWait=2
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=8000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES State=UP MaxTime=INFINITE
"""


def missing() -> str:
    """Why no cluster can be started here; empty if one can."""
    lacks = [name for name in PROGRAMS if not shutil.which(name)]
    if lacks:
        return f"no Slurm here: it needs {', '.join(lacks)} (apt-get install {PACKAGES})"
    return "" if os.geteuid() == 0 else "Slurm's daemons need root here"


@contextmanager
def cluster(folder: Path) -> Iterator[dict[str, str]]:
    """Start munged, slurmctld and slurmd; the environment variables by which Slurm's commands find them."""
    munge = folder / "munge"
    for path in (munge, folder / "state", folder / "spool"):
        path.mkdir()
        path.chmod(0o755)
    key = munge / "key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    config = folder / "slurm.conf"
    host = socket.gethostname().partition(".")[0]
    config.write_text(CONFIG.format(host=host, folder=folder, controller=_port(), daemon=_port()))
    env = {**os.environ, "SLURM_CONF": str(config)}
    names = {"socket": "socket", "key-file": "key", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    daemons: list[subprocess.Popen[bytes]] = []
    try:
        for command in (
            ["munged", "--foreground", "--force", *(f"--{name}={munge / file}" for name, file in names.items())],
            ["slurmctld", "-D", "-c", "-i"],
            ["slurmd", "-D"],
        ):
            output = (folder / f"{command[0]}.out").open("wb")
            daemons.append(subprocess.Popen(command, env=env, stdout=output, stderr=output))
            output.close()
            if command[0] == "munged":
                _wait(lambda: (munge / "socket").exists(), daemons, folder)
        _wait(lambda: "idle" in _said(env, "sinfo", "--noheader", "--format=%T"), daemons, folder)
        yield {"SLURM_CONF": str(config)}
    finally:
        _said(env, "scancel", "--full", "--user=root")
        for daemon in reversed(daemons):
            daemon.terminate()
            with suppress(subprocess.TimeoutExpired):
                daemon.wait(20)
            daemon.kill()
            daemon.wait()


def _said(env: dict[str, str], *command: str) -> str:
    with suppress(subprocess.TimeoutExpired):
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False).stdout
    return ""


def _wait(holds: Callable[[], bool], daemons: list[subprocess.Popen[bytes]], folder: Path) -> None:
    """Wait until Slurm is ready. Fails, with what the daemons wrote, where one ends or nothing is ready in time."""
    deadline = time.monotonic() + 120
    while not holds():
        ended = [daemon.args for daemon in daemons if daemon.poll() is not None]
        wrote = "\n".join(f"{path.name}: {path.read_text(errors='replace')[-2000:]}" for path in folder.glob("*.out"))
        assert not ended, f"{ended} ended\n{wrote}"
        assert time.monotonic() < deadline, f"Slurm is not ready\n{wrote}"
        time.sleep(0.2)


def _port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
