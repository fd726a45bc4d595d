"""A sweep brings its runs to their end, whatever one of them does, with variants of the user too."""

import json
from pathlib import Path

import pytest

from normexp.records.folder import RunFolder
from normexp.sweep.executor import leaders, prepare
from normexp.sweep.plan import plan
from normexp.sweep.worker import execute
from tests.support.cli import in_process
from tests.support.runs import TINY, runs, swept

pytestmark = pytest.mark.slow
SUICIDE = '''
"""Variants that end their own process."""
import os
import signal
from pathlib import Path
from normexp.variants.post_ln import PostLN

class Once(PostLN):
    """x ← LN(x + F(x))"""

    def on_step_begin(self, step):
        marker = Path(__file__).with_name("marker")
        if step == 3 and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)

class Always(PostLN):
    """x ← LN(x + F(x))"""

    def on_step_begin(self, step):
        if step == 3:
            os.kill(os.getpid(), signal.SIGKILL)
'''
RAISING = '''
from normexp.variants.post_ln import PostLN

class Raising(PostLN):
    """x ← LN(x + F(x))"""

    def on_step_begin(self, step):
        if step == 3:
            raise RuntimeError("this variant gives up")
'''
HALF = '''
from normexp.variants import Variant

class Half(Variant):
    """x ← LN(x + F(x)/2)"""

    def join(self, x, site):
        return site.norm(x + site.branch(x) / 2)
'''


def config_dir(path: Path, module: str, source: str, **variants: str) -> Path:
    """A user's folder: one Python file, and a YAML for each of its variants."""
    (path / "variant").mkdir(parents=True)
    (path / f"{module}.py").write_text(source)
    for name, cls in variants.items():
        (path / "variant" / f"{name}.yaml").write_text(f"_target_: {module}.{cls}\n")
    return path


@pytest.mark.usefixtures("svg_alone")
def test_run_that_raises_fails_alone(outside):
    mine = config_dir(outside / "mine", "raising", RAISING, raising="Raising")
    done = in_process("sweep", *TINY, "variant=post_ln,raising,pre_ln", f"--config-dir={mine}", "--jobs=2")
    assert done.exit_code == 1
    found = runs(outside / "results")
    assert {name: run.status["state"] for name, run in found.items()} == {
        "post_ln": "completed",
        "raising": "failed",
        "pre_ln": "completed",
    }
    assert found["raising"].status["error"] == "RuntimeError: this variant gives up"
    assert found["raising"].status["attempts"] == 1
    assert 'raise RuntimeError("this variant gives up")' in found["raising"].log.read_text()
    log = found["raising"].log.relative_to(outside).as_posix()
    assert log in done.stdout.replace("\n", "")  # however narrow the terminal is
    assert "failed" in done.stdout


def test_killed_workers_are_tried_again(tmp_path):
    mine = config_dir(tmp_path / "mine", "suicide", SUICIDE, once="Once", always="Always")
    assert not swept(*TINY, "variant=once,post_ln,always,pre_ln", cwd=tmp_path, config_dirs=[str(mine)])
    found = runs(tmp_path / "results")
    assert {name: run.status["state"] for name, run in found.items()} == {
        "once": "completed",
        "post_ln": "completed",
        "always": "failed",
        "pre_ln": "completed",
    }
    assert found["once"].status["attempts"] >= 2
    assert found["always"].status["attempts"] == 3
    assert "died 3 times" in found["always"].status["error"]


def test_stacked_runs_train_alone_after_the_death_of_their_worker(tmp_path):
    """They may have needed more memory together than there is."""
    mine = config_dir(tmp_path / "mine", "suicide", SUICIDE, once="Once")
    line = [*TINY, "variant=once", "seed=range(3)", "training.stacked=3"]
    assert swept(*line, cwd=tmp_path, config_dirs=[str(mine)])
    found = runs(tmp_path / "results").values()
    assert [(run.status["state"], run.status["attempts"]) for run in found] == [("completed", 2)] * 3
    assert all(run.log.read_text().count("trains as one of") == 1 for run in found)


def test_editing_a_users_variant_gives_new_runs(tmp_path):
    mine = config_dir(tmp_path / "mine", "halved", HALF, half="Half")
    assert sum(len(path.read_text().splitlines()) for path in mine.rglob("*.*")) <= 20
    line = [*TINY, "variant=half", "seed=range(4)"]
    assert swept(*line, cwd=tmp_path, config_dirs=[str(mine)])
    results = tmp_path / "results"
    old = {path: json.loads(path.read_text()) for path in results.glob("*/*/status.json")}
    assert len(old) == 4
    assert len({status["pid"] for status in old.values()}) == 2

    (mine / "halved.py").write_text(HALF.replace("site.branch(x) / 2", "site.branch(x) / 3"))
    assert swept(*line, cwd=tmp_path, config_dirs=[str(mine)], jobs=1)
    everything = {path: json.loads(path.read_text()) for path in results.glob("*/*/status.json")}
    assert len(everything) == 8
    assert {path: everything[path] for path in old} == old
    losses = {True: [], False: []}
    for path, status in everything.items():
        assert status["state"] == "completed"
        losses[path in old].append(status["final_loss"])
    assert not set(losses[True]) & set(losses[False])


def test_a_run_that_another_command_holds_is_left_as_it_is(tmp_path):
    """It is planned here too, but neither set back to pending nor stacked."""
    sweep = plan("sweep", [*TINY, "variant=post_ln", "seed=0,1", "training.stacked=2", f"results={tmp_path}"])
    first, second = prepare(sweep, lambda text: None)
    first.update(state="running", attempts=1)
    with first.lock():
        before = (first.path / "status.json").read_bytes()
        todo = prepare(sweep, lambda text: None)
        assert [folder.name for folder in leaders(sweep, todo)] == [folder.name for folder in todo]
        assert (first.path / "status.json").read_bytes() == before
    assert second.status["state"] == "pending"


def test_a_run_that_another_command_completes_meanwhile_stays_complete(tmp_path, monkeypatch):
    sweep = plan("sweep", [*TINY, "steps=2", "variant=post_ln", f"results={tmp_path}"])
    (folder,) = prepare(sweep, lambda text: None)
    lock = RunFolder.lock

    def after_the_other(run, **options):
        monkeypatch.setattr(RunFolder, "lock", lock)
        execute(run.path)
        return lock(run, **options)

    monkeypatch.setattr(RunFolder, "lock", after_the_other)
    prepare(sweep, lambda text: None)
    assert folder.status["state"] == "completed"
