"""Which commit of a dataset on the Hugging Face Hub is read: pinned, the newest one, or the last one in the cache.

Every planning of a run that reads the Hub asks for it, so this imports the client alone.
"""

import os
import re
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from normexp.errors import ConfigError

NAME = re.compile(r"(?!.*(--|\.\.))\w[\w.-]*/\w[\w.-]*", re.ASCII)
SHA = re.compile(r"[0-9a-f]{40}")
PATIENCE = 3.0  # seconds until the Hub must have answered first; where there is no network, that is the longest wait
SMALL_FILES = ("README.md", ".gitattributes")  # every repository has one of them
LOG_IN = "log in with `hf auth login` or set HF_TOKEN"


def fingerprint(path: str = "", revision: str = "", **_: Any) -> dict[str, str]:
    """The commit in place of the revision, so that a run's identity names what is read."""
    return {"revision": commit(path, revision)}


@lru_cache(maxsize=16)
def commit(path: str, revision: str) -> str:
    """The sha of the commit that a branch, a tag or a commit stands for; by default that of the main branch.

    If the Hub cannot be reached, the last one that was read, from the client's cache.

    Raises ConfigError if there is no such dataset or revision, if it may not be read, and if the Hub can neither be
    reached nor was it read before.
    """
    _check_name(path)
    if SHA.fullmatch(revision):
        with suppress(LocalEntryNotFoundError):
            return _read(path, revision, local_files_only=True)  # a commit never changes
    reason = unreachable(path, revision)
    if not reason:
        try:
            return _read(path, revision)
        except Exception as error:
            reason = _failure(error, path, revision)
    try:
        return _read(path, revision, local_files_only=True)
    except LocalEntryNotFoundError as error:
        asked = f"{path} at {revision}" if revision else path
        raise ConfigError(
            f"{asked} is not in the cache of this machine, and {reason}; run it once with a connection, or use an "
            "embedded task or data=files"
        ) from error


def unreachable(path: str, revision: str) -> str:
    """Why the Hub cannot be asked; empty if it answers. Raises ConfigError if it refuses this dataset."""
    if offline():
        return "the Hub is not asked, because this run is offline"
    try:
        HfApi().dataset_info(path, revision=revision or None, timeout=PATIENCE)
    except Exception as error:
        return _failure(error, path, revision)
    return ""


def offline() -> bool:
    """Whether the environment forbids to ask the Hub; HF_DATASETS_OFFLINE has the last word, as in `datasets`."""
    asked = os.environ.get("HF_DATASETS_OFFLINE") or os.environ.get("HF_HUB_OFFLINE") or ""
    return asked.upper() in ("1", "ON", "YES", "TRUE")


def refusal(error: BaseException, path: str, revision: str) -> str:
    """What the Hub refuses, as a sentence; empty for errors of another kind, such as a lost connection."""
    if isinstance(error, GatedRepoError):
        return f"data.path={path} is gated: ask for access on its page, then {LOG_IN}"
    if isinstance(error, RepositoryNotFoundError):
        return f"data.path={path} does not exist on the Hub, or is private: check the name, or {LOG_IN}"
    if isinstance(error, RevisionNotFoundError):
        return f"data.revision={revision} does not exist in {path}"
    if isinstance(error, HfHubHTTPError) and error.response is not None and error.response.status_code in (401, 403):
        return f"data.path={path} may not be read with this token: {LOG_IN}"
    return ""


def _failure(error: Exception, path: str, revision: str) -> str:
    """The reason why the Hub could not be asked, for errors that are no refusal."""
    if sentence := refusal(error, path, revision):
        raise ConfigError(sentence) from error
    return f"the Hub cannot be reached ({type(error).__name__})"


def _check_name(path: str) -> None:
    if not NAME.fullmatch(path):
        raise ConfigError(
            f"data.path must be the name of a dataset on the Hub, such as owner/name; got {path or 'nothing'} "
            "(data=files reads files of this machine)"
        )
    if Path(path).exists():  # `datasets` would read it instead of the Hub
        raise ConfigError(
            f"data.path={path} is also a folder here; use data=files to read it, or run from another folder"
        )


def _read(path: str, revision: str, local_files_only: bool = False) -> str:
    """The commit, by way of a small file: the client notes in its cache which commit the revision was."""
    missing: Exception = EntryNotFoundError()
    for name in SMALL_FILES:
        try:
            found = hf_hub_download(
                path,
                name,
                repo_type="dataset",
                revision=revision or None,
                etag_timeout=PATIENCE,
                local_files_only=local_files_only,
            )
        except EntryNotFoundError as error:
            missing = error
        else:
            return Path(found).parent.name
    raise missing
