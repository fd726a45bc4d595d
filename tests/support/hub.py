"""A stand-in for the Hugging Face Hub on loopback: what the real client asks of it for datasets, and its refusals."""

import hashlib
import io
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

REVISION = r"(?P<revision>refs/convert/parquet|[^/]+)"


@dataclass
class Repository:
    """A dataset repository: its files, and how it refuses.

    access: open, private (401, as if it did not exist) or gated (401), unless the request carries `token`.
    drops: how many answers with a file's content break off half-way before one arrives whole.
    converted: files of the branch refs/convert/parquet, which is a commit of its own.
    """

    files: dict[str, bytes]
    access: str = "open"
    token: str = ""
    drops: int = 0
    converted: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for files in filter(None, (self.files, self.converted)):
            files.setdefault(".gitattributes", b"*.parquet filter=lfs\n")

    @property
    def commit(self) -> str:
        return _commit(self.files)

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """The commit and the files of a branch or a commit."""
        branches = {"main": self.files, "refs/convert/parquet": self.converted}
        found = {name: (_commit(files), files) for name, files in branches.items() if files}
        return found.get(revision) or {commit: (commit, files) for commit, files in found.values()}.get(revision)


@dataclass
class Hub:
    """The running stand-in: its repositories by name, and its log of (method, path, bytes of the answer's body)."""

    url: str
    repositories: dict[str, Repository]
    log: list[tuple[str, str, int]]

    def sent(self, ending: str) -> int:
        """Bytes of content that were sent of the files whose path ends so."""
        return sum(size for method, path, size in self.log if method == "GET" and path.endswith(ending))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    repositories: ClassVar[dict[str, Repository]]
    log: ClassVar[list[tuple[str, str, int]]]

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        for pattern, answer in (
            (rf"/api/datasets/(?P<name>[^/]+/[^/]+)(?:/revision/{REVISION})?", self._info),
            (rf"/api/datasets/(?P<name>[^/]+/[^/]+)/tree/{REVISION}(?:/(?P<path>.*))?", self._tree),
            (rf"/api/datasets/(?P<name>[^/]+/[^/]+)/paths-info/{REVISION}", self._paths_info),
            (rf"/datasets/(?P<name>[^/]+/[^/]+)/resolve/{REVISION}/(?P<path>.+)", self._resolve),
        ):
            found = re.fullmatch(pattern, path)
            if found:
                self._serve(answer, **found.groupdict())
                return
        self._answer(404, b"", {})

    do_HEAD = do_POST = do_GET

    def _serve(self, answer: Any, name: str, revision: str | None = None, **more: Any) -> None:
        repository = self.repositories.get(name)
        allowed = repository is not None and self.headers.get("Authorization") == f"Bearer {repository.token}"
        if repository is None:
            self._refuse(404, "RepoNotFound", "Repository not found")
        elif repository.access == "private" and not allowed:
            self._refuse(401, "RepoNotFound", "Repository not found")
        elif repository.access == "gated" and not allowed and answer == self._resolve:
            self._refuse(401, "GatedRepo", f"Access to dataset {name} is restricted. You must be authenticated.")
        elif (at := repository.at(revision or "main")) is None:
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        else:
            answer(repository, *at, **more)

    def _info(self, repository: Repository, commit: str, files: dict[str, bytes]) -> None:
        siblings = [{"rfilename": path} for path in files]
        about = {"_id": "0", "id": "owner/name", "sha": commit, "siblings": siblings, "tags": [], "disabled": False}
        self._json(about | {"private": repository.access == "private", "gated": False, "downloads": 0, "likes": 0})

    def _tree(self, _: Repository, commit: str, files: dict[str, bytes], path: str | None) -> None:
        prefix = f"{path}/" if path else ""
        inside = [name for name in files if name.startswith(prefix)]
        if prefix and not inside:
            self._refuse(404, "EntryNotFound", f"{path} does not exist on {commit}")
            return
        entries = [_entry(name, files[name]) for name in inside]
        folders = {name.rpartition("/")[0] for name in inside} - {"", path}
        if "recursive=True" not in self.path and "recursive=true" not in self.path:
            entries = [entry for entry in entries if "/" not in entry["path"][len(prefix) :]]
            folders = {prefix + folder[len(prefix) :].partition("/")[0] for folder in folders}
        self._json([{"type": "directory", "oid": _sha1(name), "size": 0, "path": name} for name in folders] + entries)

    def _paths_info(self, _: Repository, __: str, files: dict[str, bytes]) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        asked = json.loads(body)["paths"]
        entries = [_entry(name, files[name]) for name in asked if name in files]
        folders = [name for name in asked if name not in files and any(f.startswith(f"{name}/") for f in files)]
        self._json(entries + [{"type": "directory", "oid": _sha1(name), "size": 0, "path": name} for name in folders])

    def _resolve(self, repository: Repository, commit: str, files: dict[str, bytes], path: str) -> None:
        about = {"X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if path not in files:
            self._refuse(404, "EntryNotFound", f"Entry not found: {path}", about)
            return
        content = files[path]
        about["ETag"] = f'"{_sha1(content)}"'
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not asked:
            self._answer(200, content, about, repository)
            return
        first, last = int(asked[1]), min(int(asked[2] or len(content)), len(content) - 1)
        about["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
        self._answer(206, content[first : last + 1], about, repository)

    def _json(self, value: Any) -> None:
        self._answer(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _refuse(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        self._answer(status, b"", {"X-Error-Code": code, "X-Error-Message": message, **(headers or {})})

    def _answer(self, status: int, body: bytes, headers: dict[str, str], content_of: Repository | None = None) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            body = b""
        elif content_of and content_of.drops and len(body) > 100:
            content_of.drops -= 1
            body = body[: len(body) // 2]
            self.close_connection = True
        self.wfile.write(body)
        self.log.append((self.command, unquote(urlsplit(self.path).path), len(body)))

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed; `log` has it."""


@contextmanager
def running(repositories: dict[str, Repository]) -> Iterator[Hub]:
    """The stand-in with these repositories, while the block runs."""
    log: list[tuple[str, str, int]] = []
    handler = type("Handler", (_Handler,), {"repositories": repositories, "log": log})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Hub(f"http://127.0.0.1:{server.server_port}", repositories, log)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def variables_of(hub: str, home: Path) -> dict[str, str]:
    """The variables with which a process asks this Hub (or any address) and keeps its caches in `home`."""
    return {
        "HF_ENDPOINT": hub,
        "HF_HOME": str(home / "hf"),
        "NORMEXP_CACHE": str(home / "cache"),
        "HF_UPDATE_DOWNLOAD_COUNTS": "0",  # it would ask another host
        "NO_PROXY": "127.0.0.1",
    }


def parquet(rows: list[dict[str, Any]], rows_per_group: int = 1000) -> bytes:
    """A Parquet file."""
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer, row_group_size=rows_per_group)
    return buffer.getvalue()


def _commit(files: dict[str, bytes]) -> str:
    return _sha1(b"".join(name.encode() + content for name, content in files.items()))


def _entry(name: str, content: bytes) -> dict[str, Any]:
    return {"type": "file", "oid": _sha1(content), "size": len(content), "path": name}


def _sha1(content: bytes | str) -> str:
    return hashlib.sha1(content.encode() if isinstance(content, str) else content).hexdigest()
