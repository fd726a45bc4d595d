"""What this machine has, as a bug report needs it."""

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from importlib import metadata, util
from pathlib import Path

from normexp.config.identity import IDENTITY_VERSION
from normexp.records.provenance import PACKAGES, processor

EXTRAS = {
    "hydra_plugins.hydra_joblib_launcher": "--pool hydra hydra/launcher=joblib",
    "submitit": "Slurm",
    "ray": "Ray",
}


def report(results: Path) -> Iterator[tuple[str, str]]:
    """One line each, as (name, value): versions, cores, memory, devices, extras, free disk."""
    yield "system", f"{platform.platform()}, Python {platform.python_version()}"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield "cores", f"{cores} of {os.cpu_count()} usable, {processor() or 'unknown processor'}"
    if "SC_PHYS_PAGES" in getattr(os, "sysconf_names", ()):
        yield "memory", f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.1f} GB"
    yield "devices", _devices()
    for name in PACKAGES:
        yield name, _version(name)
    yield "run format", str(IDENTITY_VERSION)
    for module, purpose in EXTRAS.items():
        yield f"extra for {purpose}", "installed" if _installed(module) else "not installed"
    yield "Slurm here", _answers(["squeue", "--version"])
    yield "Ray here", f"RAY_ADDRESS={os.environ['RAY_ADDRESS']}" if os.environ.get("RAY_ADDRESS") else "no RAY_ADDRESS"
    existing = next(path for path in (results.absolute(), *results.absolute().parents) if path.is_dir())
    writable = "writable" if os.access(existing, os.W_OK) else "not writable"
    yield "free disk", f"{shutil.disk_usage(existing).free / 1e9:.1f} GB, {writable}"


def _answers(command: list[str]) -> str:
    """The first line of what a program says, or that it cannot be reached."""
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return f"{command[0]} does not answer"
    return done.stdout.partition("\n")[0]


def _devices() -> str:
    import torch

    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return ", ".join(["cpu", *gpus])


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _installed(module: str) -> bool:
    try:
        return util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
