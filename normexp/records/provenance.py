"""Where a run comes from: code, versions, machine, data."""

import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from normexp.records.folder import read_provenance

PACKAGES = (
    "normexp",
    "torch",
    "hydra-core",
    "omegaconf",
    "datasets",
    "babel",
    "numpy",
    "pandas",
    "sacrebleu",
    "tokenizers",
)


def provenance(data_digest: str, data: dict[str, Any], sources: dict[str, str], threads: int) -> dict[str, Any]:
    """What a reader needs to run it again.

    data_digest: sha256 of the built splits; data: what they are made of (`Corpus.summary`); sources: the user's own
    modules by file name.
    """
    import torch

    return {
        "command": sys.argv,
        "git": _git(),
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "data_sha256": data_digest,
        "data": data,
        "user_sources": sources,
    }


OF_A_HOOK = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")  # which git sets while it runs one
KEPT = ("git", "python", "packages", "platform", "processor", "cores", "gpu", "data_sha256")


def origins(runs: Iterable[Path]) -> list[dict[str, Any]]:
    """What made these runs, each way once: commit, versions, processor, data; nothing of paths or hosts."""
    found: list[dict[str, Any]] = []
    for run in sorted(runs):
        for attempt in read_provenance(run):
            origin = {key: attempt.get(key) for key in KEPT}
            git = origin["git"] if isinstance(origin["git"], dict) else {}
            commit = str(git.get("commit") or "")  # earlier versions wrote an empty one where git had refused
            if not isinstance(origin["packages"], dict):
                origin["packages"] = {}
            origin["git"] = {"commit": commit, "clean": not git.get("diff")} if commit else None
            if origin not in found:
                found.append(origin)
    return found


def _git() -> dict[str, str] | None:
    """Commit and uncommitted changes of the checkout that holds the package; None for an installed package.

    The changes are the files as `git status` lists them, with those that git does not track, then the diff. Also None
    where there is no git, or where it refuses, as it does in a checkout of another user.
    """
    here = Path(__file__).resolve().parents[2]
    if not (here / ".git").exists():
        return None

    def git(*words: str) -> str:
        command = ["git", "-C", str(here), *words]
        # Of this checkout, whatever a hook of another has set; and without a lock that would stop a user's own commit.
        quiet = {key: value for key, value in os.environ.items() if key not in OF_A_HOOK} | {"GIT_OPTIONAL_LOCKS": "0"}
        done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=True, env=quiet)
        return done.stdout.strip("\n")

    ours = ("--", "normexp", "configs")
    try:
        commit = git("rev-parse", "HEAD")
        changed = git("status", "--porcelain", "--untracked-files=normal", *ours)
        diff = git("diff", "HEAD", *ours) if changed else ""
    except (OSError, subprocess.CalledProcessError):
        return None
    return {"commit": commit, "diff": f"{changed}\n{diff}".strip("\n")}


def processor() -> str:
    """The name of this machine's processor; empty where the system does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
