"""`normexp export`: the trackers' own packages write the runs and read them back."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from normexp.cli import app
from normexp.errors import ConfigError
from normexp.records.tables import read_table
from normexp.sweep.executor import run_sweep
from normexp.sweep.plan import plan
from normexp.trackers import tracker
from normexp.trackers.measured import measured
from normexp.views.runs import load_runs
from tests.support.runs import TINY, InProcess

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """A sweep of two runs."""
    folder = tmp_path_factory.mktemp("exported")
    sweep = plan("sweep", [*TINY, "name=try", "variant=post_ln,pre_ln", f"results={folder / 'results'}"])
    assert run_sweep(sweep, InProcess())
    return folder / "results"


def exported(name: str, results: Path) -> str:
    done = CliRunner().invoke(app, ["export", name, str(results)], catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    return done.stdout


def test_a_run_has_its_settings_results_and_curves(results):
    first, second = measured(load_runs(results))
    assert first.label.startswith("try/post_ln")
    assert first.id != second.id
    assert first.config["variant"] == "post_ln"
    assert first.config["training.batch_tokens"] == 400
    curves = read_table(results / "try" / first.name / "curves.parquet")
    last = curves[(curves["statistic"] == "nll") & (curves["split"] == "train")].iloc[-1]
    assert first.metrics[int(last["step"])]["curves/nll/train"] == last["value"]
    assert first.metrics[20]["layers_grad_norm/decoder.01.feed_forward"] > 0
    assert first.results["final_loss"] == load_runs(results)["final_loss"].iloc[0]


def test_mlflow_has_what_the_tables_have(results, tmp_path, monkeypatch):
    pytest.importorskip("mlflow")
    from mlflow.tracking import MlflowClient

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # the small package has no database
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "store").as_uri())
    assert exported("mlflow", results).count(": written") == 2
    assert exported("mlflow", results).count(": in mlflow already") == 2
    client = MlflowClient()
    runs = client.search_runs([client.get_experiment_by_name("normexp").experiment_id])
    found = {run.info.run_name: run for run in runs}
    assert len(runs) == 2
    for each in measured(load_runs(results)):
        run = found[each.label]
        assert run.data.params["variant"] == each.config["variant"]
        assert run.data.tags["outcome"] == each.results["outcome"]
        assert run.data.metrics["result/final_loss"] == each.results["final_loss"]
        history = client.get_metric_history(run.info.run_id, "curves/nll/train")
        steps = {step: at["curves/nll/train"] for step, at in each.metrics.items() if "curves/nll/train" in at}
        assert {point.step: point.value for point in history} == steps


def exported_twice(name: str, results: Path, **settings: str) -> None:
    """In processes of their own, because W&B and Trackio read their settings when they are imported."""
    environment = {**os.environ, **settings, "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-m", "normexp", "export", name, str(results), "--project", "mine"]
    first, second = (subprocess.run(command, env=environment, capture_output=True, text=True) for _ in range(2))
    assert first.returncode == 0, first.stderr
    assert first.stdout.count(": written") == 2
    assert second.stdout.count(f": in {name} already") == 2


def test_wandb_writes_a_folder_for_each_run(results, tmp_path):
    """Its offline files are read by `wandb sync` alone, which needs their server: the files and a second export."""
    pytest.importorskip("wandb")
    exported_twice("wandb", results, WANDB_MODE="offline", WANDB_DIR=str(tmp_path))
    for each in _all(results):
        (file,) = (tmp_path / "wandb").glob(f"offline-run-*-{each.id}/*.wandb")
        assert b"curves/nll/train" in file.read_bytes()
        assert each.name.encode() in file.read_bytes()


def test_trackio_has_what_the_tables_have(results, tmp_path):
    """Nothing of an export that was interrupted."""
    pytest.importorskip("trackio")
    environment = {**os.environ, "TRACKIO_DIR": str(tmp_path)}
    label = _all(results)[0].label
    interrupted = (
        f"import trackio; trackio.init('mine', '{label} (incomplete)', embed=False); "
        "trackio.log({'curves/nll/train': -1.0}, step=10**6); trackio.finish()"
    )
    subprocess.run([sys.executable, "-c", interrupted], env=environment, capture_output=True, check=True)
    exported_twice("trackio", results, TRACKIO_DIR=str(tmp_path))

    def read(*words: str) -> dict:
        command = [sys.executable, "-m", "trackio.cli", *words, "--project", "mine", "--json"]
        return json.loads(subprocess.check_output(command, env=environment, text=True))

    assert sorted(read("list", "runs")["runs"]) == sorted(each.label for each in _all(results))
    for each in _all(results):
        about = read("get", "run", "--run", each.label)["config"]
        assert about["variant"] == each.config["variant"]
        assert about["result.final_loss"] == each.results["final_loss"]
        points = read("get", "metric", "--run", each.label, "--metric", "curves/nll/train")["values"]
        expected = {step: at["curves/nll/train"] for step, at in each.metrics.items() if "curves/nll/train" in at}
        assert {point["step"]: point["value"] for point in points} == expected


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(tracker, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"^export wandb needs wandb; pip install 'normexp\[wandb\]'$"):
        tracker.connect("wandb", "normexp")


def test_an_unknown_tracker_is_one_sentence():
    done = CliRunner().invoke(app, ["export", "wandbb", "nowhere"])
    assert (done.exit_code, done.stderr) == (2, "error: TRACKER=wandbb does not exist; did you mean wandb?\n")


def test_a_run_that_was_interrupted_is_written_again(results, tmp_path, monkeypatch):
    """W&B makes the folder of a run before anything is in it."""
    pytest.importorskip("wandb")
    from normexp.trackers.wandb import Wandb

    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    run = _all(results)[0]
    (tmp_path / "wandb" / f"offline-run-20260101_000000-{run.id}").mkdir(parents=True)
    assert not Wandb("mine").has(run)


def test_mlflow_without_a_server_says_what_to_set(results, monkeypatch):
    pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr("normexp.trackers.mlflow.find_spec", lambda name: None)  # the small package
    done = CliRunner().invoke(app, ["export", "mlflow", str(results)])
    assert done.exit_code == 2
    assert done.stderr.startswith("error: MLFLOW_TRACKING_URI must name a server, such as http://localhost:5000; ")
    assert len(done.stderr.splitlines()) == 1


def test_a_server_that_does_not_answer_is_one_sentence(results, monkeypatch):
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    done = CliRunner().invoke(app, ["export", "mlflow", str(results)])
    assert done.exit_code == 2
    assert done.stderr.startswith("error: mlflow refused: ")
    assert len(done.stderr.splitlines()) == 1


def _all(results: Path) -> list:
    return list(measured(load_runs(results)))
