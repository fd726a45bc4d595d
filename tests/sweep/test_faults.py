"""Damaged files and a disk that refuses: the sweep repairs the one, ends in a sentence for the other, and continues."""

import errno
import resource
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from normexp.errors import DiskError, disk_error
from normexp.records.folder import RunFolder
from normexp.sweep import executor
from normexp.sweep.plan import Sweep, plan
from normexp.sweep.worker import execute
from tests.support.damage import DAMAGES
from tests.support.runs import TINY, InProcess, normexp, runs, tiny_config

pytestmark = pytest.mark.slow
TABLES = ("curves.parquet", "layers.parquet")
FILES = ("status.json", *TABLES, "timing.parquet", "weights.pt", "checkpoint.pt", "config.yaml", "files.json",
         "provenance.json", "lock", "log.txt")  # fmt: skip
CASES = [(damage, file) for damage in DAMAGES for file in FILES[:2]]
CASES += [(damage, file) for damage in ("fifo", "random_bytes") for file in FILES[2:]]


@cache
def planned() -> Sweep:
    """Two runs, planned once for all tests, since that takes as long as running them."""
    return plan("sweep", [*TINY, "steps=6", "record.checkpoint_every=3", "variant=post_ln", "seed=0,1"], name="try")


def swept(path: Path, said: list[str]) -> list[RunFolder]:
    """A sweep of two runs in `path`, brought to its end."""
    runs = (replace(run, config=replace(run.config, results=str(path))) for run in planned().runs)
    sweep = replace(planned(), results=path, runs=tuple(runs))
    assert executor.run_sweep(sweep, InProcess(), said.append)
    return list(sweep.folders)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A finished sweep of two runs."""
    path = tmp_path_factory.mktemp("finished")
    swept(path, [])
    return path


@pytest.mark.parametrize(("damage", "file"), CASES)
def test_the_sweep_repairs_a_finished_run(damage, file, finished, tmp_path):
    shutil.copytree(finished, tmp_path / "results")
    first, _ = sorted((tmp_path / "results/try").glob("*/"))
    before = {table: (first / table).read_bytes() for table in TABLES}
    if file == "checkpoint.pt":
        (first / file).write_bytes(b"left over")
    DAMAGES[damage](first / file)
    said: list[str] = []
    for folder in swept(tmp_path / "results", said):
        assert folder.status["state"] == "completed"
    assert {table: (first / table).read_bytes() for table in TABLES} == before
    needed = file in (*TABLES, "timing.parquet", "weights.pt", "status.json")
    if needed and (damage, file) != ("flip_a_byte", "status.json"):  # that may hit a digit
        assert [line for line in said if line.startswith(f"{first.name}: {file} ") and line.endswith("repairing it")]
    assert not (first / file).is_symlink()


@pytest.mark.parametrize("file", [*TABLES, "timing.parquet", "checkpoint.pt", "status.json", "config.yaml"])
@pytest.mark.parametrize("damage", ["cut_in_half", "flip_a_byte", "fifo"])
def test_the_sweep_repairs_an_interrupted_run(damage, file, finished, tmp_path):
    interrupted, config = RunFolder(tmp_path / "run"), planned().runs[0].config
    interrupted.create(config)
    asked = iter([False] * 4 + [True])
    with pytest.raises(RuntimeError, match="stopped after step 4"):
        execute(interrupted.path, lambda: next(asked))
    DAMAGES[damage](interrupted.path / file)
    interrupted.create(config)  # as every sweep does first
    execute(interrupted.path)
    assert interrupted.status["state"] == "completed"
    whole = next((finished / "try").glob("seed0-*"))
    for table in TABLES:
        assert (interrupted.path / table).read_bytes() == (whole / table).read_bytes()
    if (damage, file) != ("flip_a_byte", "status.json"):  # that may hit what was measured, which is measured again
        resumed = "resumed after step 4" in interrupted.log.read_text()
        assert resumed == (file in ("status.json", "config.yaml"))


def limited(size: int) -> None:
    """No file may become larger: what a full disk or a quota does, to this process and its children."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_a_full_disk_is_one_sentence_and_continuing_works(tmp_path):
    line = (*TINY, "variant=post_ln", "seed=0,1")
    full = normexp("sweep", *line, cwd=tmp_path, preexec_fn=lambda: limited(8_000))
    assert full.returncode == 1
    assert full.stderr.splitlines()[-1].startswith("error: the results cannot be written: File too large")
    assert "Traceback" not in full.stderr
    assert not list((tmp_path / "results").rglob(".*"))
    assert max(run.status["attempts"] for run in runs(tmp_path / "results").values()) <= 3
    again = plan("sweep", [*line, f"results={tmp_path / 'results'}"])
    assert executor.run_sweep(again, InProcess())
    assert {run.status["state"] for run in runs(tmp_path / "results").values()} == {"completed"}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_disk_that_takes_nothing_ends_the_sweep(number, tmp_path, monkeypatch):
    sweep = plan("sweep", [*TINY, "seed=0,1", f"results={tmp_path}"])

    def refuse(*_: object) -> None:
        raise OSError(number, "no", str(tmp_path))

    monkeypatch.setattr("os.replace", refuse)
    with pytest.raises(DiskError, match="the results cannot be written: no"):
        executor.run_sweep(sweep, InProcess())
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_refused(number, tmp_path, monkeypatch):
    """Some that several machines share have none; then two commands would train the same run."""

    def refuse(*_: object) -> None:
        raise OSError(number, "no locks")

    monkeypatch.setattr("fcntl.flock", refuse)
    sweep = plan("sweep", [*TINY, "variant=post_ln", f"results={tmp_path}"])
    sweep.create()
    with pytest.raises(OSError, match="no locks") as refused:
        execute(sweep.folders[0].path)
    assert sweep.folders[0].status["state"] == "pending"
    sentence = disk_error(refused.value)
    assert sentence.startswith("the results cannot be written: their file system has no locks (no locks)")


def test_a_folder_that_disappears_is_named(tmp_path):
    class Removing(InProcess):
        tries = 0

        def run(self, folders):
            self.tries += len([folder for folder in folders if "seed0" in folder.name])
            for folder in folders:
                if "seed0" in folder.name:
                    shutil.rmtree(folder, ignore_errors=True)
                else:
                    execute(folder)

    sweep, pool, said = plan("sweep", [*TINY, "seed=0,1", "variant=post_ln", f"results={tmp_path}"]), Removing(), []
    assert not executor.run_sweep(sweep, pool, said.append)
    assert pool.tries <= 3
    gone, kept = sweep.folders
    assert said == [f"{gone.name}: its folder was removed while it ran; run the same command again"]
    assert kept.status["state"] == "completed"


def test_short_memory_is_recorded_with_what_is_needed(tmp_path, monkeypatch):
    def short(*_: object) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried")

    monkeypatch.setattr("normexp.training.loop.training", short)
    folder = RunFolder(tmp_path / "run")
    folder.create(tiny_config())
    execute(folder.path)
    assert folder.status["state"] == "failed"
    assert folder.status["error"].startswith("out of memory: the run needs about 0.0 GB and this machine has ")
    assert "reduce training.batch_tokens" in folder.status["error"]
