"""A sweep survives kill -9 at any moment; its tables equal those of an undisturbed one to the byte."""

import json
import os
import random
import re
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from normexp.config.schema import to_dict
from normexp.errors import StoppedError
from normexp.records.folder import RunFolder, as_yaml
from normexp.sweep.plan import plan
from normexp.sweep.pools import local
from normexp.sweep.worker import execute
from normexp.training.trainer import Trainer
from tests.support.cli import in_process
from tests.support.runs import TINY, alive, descendants, runs, started, status, swept, tiny_config, wait_until

pytestmark = pytest.mark.slow
STEPS = 300
SWEEP = (
    *TINY, f"steps={STEPS}", "variant=post_ln", "seed=0,1", "model.dropout=0,0.1",
    "model.attention_dropout=${model.dropout}", "record.checkpoint_every=20",
)  # fmt: skip
TABLES = ("curves.parquet", "layers.parquet")
OF_THE_CLOCK = ("heartbeat", "pid", "seconds", "attempts", "loss")  # loss: the last one written while it ran


def share_done(results: Path) -> float:
    steps = [status(run).get("step") or 0 for run in runs(results).values()]
    return sum(steps) / (4 * STEPS)


def kill_at(share: float, cwd: Path) -> None:
    """Start the sweep and kill -9 all its processes once so much of its steps is done."""
    sweep = started("sweep", *SWEEP, "--jobs=2", cwd=cwd)
    try:
        wait_until(lambda: share_done(cwd / "results") >= share or sweep.poll() is not None)
        assert sweep.poll() is None, "the sweep ended before it could be killed"
    finally:
        family = descendants(sweep.pid)
        for pid in family:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        sweep.communicate()
    wait_until(lambda: not any(map(alive, family)))


def test_a_killed_sweep_resumes_to_the_same_bytes(tmp_path, monkeypatch):
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    undisturbed.mkdir()
    disturbed.mkdir()
    assert swept(*SWEEP, cwd=undisturbed)

    for moment in (random.uniform(0.1, 0.45), random.uniform(0.55, 0.75)):
        print(f"killed when {moment:.3f} of all steps were done")
        kill_at(moment, disturbed)
    at_kill = {name: (run.status["state"], status(run)) for name, run in runs(disturbed / "results").items()}
    assert "completed" in {state for state, _ in at_kill.values()}

    assert swept(*SWEEP, cwd=disturbed)
    once, twice = runs(undisturbed / "results"), runs(disturbed / "results")
    assert once.keys() == twice.keys()
    assert len(once) == 4
    for name, (state, before) in at_kill.items():
        if state == "completed":
            assert status(twice[name]) == before, name  # nothing was done to it
    assert any("resumed after step" in run.log.read_text() for run in twice.values())
    for name in once:
        for table in TABLES:
            assert (once[name].path / table).read_bytes() == (twice[name].path / table).read_bytes(), (name, table)
        same = [{k: v for k, v in status(run[name]).items() if k not in OF_THE_CLOCK} for run in (once, twice)]
        assert same[0] == same[1]

    at_end = {run.path: (run.path / "status.json").read_bytes() for run in twice.values()}
    with monkeypatch.context() as patch:
        patch.setattr(local, "COMMAND", (sys.executable, "-c", "raise SystemExit('nothing was left to do')"))
        assert swept(*SWEEP, cwd=disturbed)
    assert {run.path: (run.path / "status.json").read_bytes() for run in runs(disturbed / "results").values()} == at_end


def run_in(path: Path, *overrides: str) -> RunFolder:
    """A run folder, brought as far as it goes."""
    folder = RunFolder(path)
    folder.create(tiny_config("steps=50", "record.checkpoint_every=10", *overrides))
    execute(path)
    return folder


def tables(folder: RunFolder) -> dict[str, bytes]:
    return {name: (folder.path / name).read_bytes() for name in TABLES}


@pytest.mark.parametrize("dropout", [0, 0.1])
@pytest.mark.parametrize("when", ["before", "after"])
def test_rows_past_the_checkpoint_are_cut(when, dropout, tmp_path, monkeypatch):
    """The process goes between writing the tables of step 30 and its checkpoint, or just after both."""
    line = [f"model.dropout={dropout}", f"model.attention_dropout={dropout}"]
    whole = run_in(tmp_path / "whole", *line)
    save = Trainer.save

    def die(self, path):
        if self.done < 30 or when == "after":
            save(self, path)
        if self.done == 30:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "save", die)
        with pytest.raises(KeyboardInterrupt):
            run_in(tmp_path / "cut", *line)
    cut = RunFolder(tmp_path / "cut")
    assert cut.status["state"] == "interrupted"
    assert pq.read_table(cut.path / "curves.parquet")["step"].to_pylist()[-1] == 30
    execute(cut.path)
    assert f"resumed after step {20 if when == 'before' else 30}" in cut.log.read_text()
    assert cut.status["attempts"] == 2
    assert tables(cut) == tables(whole)


def test_more_measurements_run_the_same_folder_again(tmp_path):
    folder = run_in(tmp_path / "run", "probe.every=25")
    first = tables(folder)
    assert set(pq.read_table(folder.path / "layers.parquet")["step"].to_pylist()) == {1, 25, 50}
    run_in(tmp_path / "run", "probe.every=25")
    assert folder.status["attempts"] == 1

    folder.create(tiny_config("steps=50", "probe.every=20"))
    assert not folder.finished
    execute(folder.path)
    assert folder.finished
    assert folder.status["attempts"] == 2
    assert set(pq.read_table(folder.path / "layers.parquet")["step"].to_pylist()) == {1, 20, 40, 50}

    def losses() -> list[float]:
        rows = pq.read_table(folder.path / "curves.parquet").to_pylist()
        return [row["value"] for row in rows if row["statistic"] == "nll"]

    measured_again = losses()
    (folder.path / "curves.parquet").write_bytes(first["curves.parquet"])
    assert measured_again == losses()  # measuring changes nothing


def test_the_file_of_a_sweep_is_written_when_it_changes(tmp_path):
    """Its time says whether figures are up to date."""
    line = [*TINY, "variant=post_ln", "name=try", f"results={tmp_path}"]
    plan("sweep", [*line, "seed=0,1"]).create()
    path = tmp_path / "try" / "sweep.json"
    os.utime(path, (1, 1))
    plan("sweep", [*line, "seed=0,1"]).create()
    assert path.stat().st_mtime == 1
    plan("sweep", [*line, "seed=0,1,2"]).create()
    assert path.stat().st_mtime > 1


def test_a_config_is_written_as_yaml_writes_the_whole():
    """Section by section, which the runs of a sweep share; 1 and "1" as keys are not the same section."""
    odd = {"a": {1: "x"}, "b": {"1": "x"}, "c": [1, 1.0, True, None, "null"], "d": {}, "e": "a: b"}
    for values in (odd, to_dict(tiny_config("seed=1")), to_dict(tiny_config("seed=2")), {"a": {"1": "x"}}):
        assert as_yaml(values) == yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def test_a_run_whose_data_has_changed_starts_again_and_is_finished(tmp_path):
    config = tiny_config("steps=6", "record.checkpoint_every=3")
    folder = RunFolder(tmp_path / "run")
    folder.create(config)
    asked = iter([False] * 4 + [True])
    with pytest.raises(StoppedError):
        execute(folder.path, lambda: next(asked))
    (attempt,) = folder.provenance
    (folder.path / "provenance.json").write_text(json.dumps([attempt | {"data_sha256": "of other data"}]))
    execute(folder.path)
    assert "restarting from step 1" in folder.log.read_text()
    assert folder.finished


def test_runs_keep_what_they_have_when_a_sweep_gets_another_axis(tmp_path, monkeypatch):
    monkeypatch.setenv("NORMEXP_RESULTS", str(tmp_path))
    line = ["sweep", *TINY, "steps=3", "variant=pre_ln", "depth=1", "--name", "more", "--jobs", "1"]
    assert in_process(*line, "seed=0,1").exit_code == 0
    wider = (*line, "seed=0,1", f"lr={tiny_config().lr},1e-3")
    assert re.findall(r"(complete|to do) *\n", in_process(*wider, "--dry-run").stdout) == ["complete", "to do"] * 2
    again = in_process(*wider)
    assert again.exit_code == 0, again.output
    assert len(re.findall(r"^seed[01]-\w+ is complete; its name is seed[01]-lr\S+ now$", again.stderr, re.M)) == 2
    found = [RunFolder(path.parent) for path in (tmp_path / "more").glob("*/config.yaml")]
    assert len(found) == 4
    assert all(run.status["attempts"] == 1 for run in found)
