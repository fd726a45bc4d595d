"""The process that a run's status names: whether it was stopped, and what continues it."""

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def is_stopped(status: Mapping[str, Any]) -> bool:
    """Whether the process of a running run was stopped (SIGSTOP, Ctrl-Z), where the system tells and it runs here."""
    if status["state"] != "running" or status.get("host") != socket.gethostname():
        return False
    try:
        return Path(f"/proc/{status['pid']}/stat").read_text("utf-8").rpartition(")")[2].split()[0] in "Tt"
    except (OSError, IndexError):
        return False


def what_continues(status: Mapping[str, Any]) -> str:
    """A sentence about a process that was stopped."""
    return f"its process {status['pid']} was stopped; kill -CONT {status['pid']} continues it"
