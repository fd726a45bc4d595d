"""normexp as a library: what a notebook imports."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import normexp
from normexp.errors import ConfigError
from normexp.sweep.plan import plan
from normexp.sweep.worker import execute
from normexp.training.evaluate import logits
from normexp.training.trainer import Trainer
from tests.support.runs import TINY

README = (Path(__file__).parents[1] / "README.md").read_text()


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """Two finished runs."""
    folder = tmp_path_factory.mktemp("library") / "results"
    sweep = plan("sweep", [*TINY, "variant=post_ln,pre_ln", f"results={folder}"])
    sweep.create()
    for run in sweep.folders:
        execute(run.path)
    return folder


@pytest.mark.slow
def test_readme_example_runs(results, monkeypatch):
    (example,) = re.findall(r"```python\n(import normexp\n.*?)```", README, flags=re.DOTALL)
    monkeypatch.chdir(results.parent)
    names: dict = {}
    exec(example, names)
    assert list(names["frame"]["variant"]) == ["post_ln", "pre_ln"]
    assert set(names["rows"]["variant"]) == {"post_ln", "pre_ln"}
    assert "grad_norm" in set(names["rows"]["statistic"])
    assert names["run"].config.variant.name == "post_ln"
    assert names["model"].stacks[0].shape.depth == 6


@pytest.mark.slow
def test_loaded_model_has_the_trained_weights(results):
    frame = normexp.runs(results)
    run = normexp.load(frame["folder"].iloc[1])
    batch = Trainer(run.config, run.corpus).batches.epoch(None)[0]
    with torch.no_grad():
        scores = logits(run.model, batch)
        fresh = logits(normexp.build([*TINY, "variant=pre_ln"]).eval(), batch)
    assert not run.model.training
    assert not torch.allclose(scores, fresh)
    assert run.status["outcome"] == frame["outcome"].iloc[1]


def test_tables_join_the_swept_keys(results):
    curves = normexp.table(results, "curves")
    assert {"variant", "step", "split", "statistic", "value"} <= set(curves)
    with pytest.raises(ConfigError, match="the table must be one of curves, layers, timing; got curve"):
        normexp.table(results, "curve")


def test_load_refuses_what_is_not_a_finished_run(results, tmp_path):
    with pytest.raises(ConfigError, match="is not a run folder"):
        normexp.load(tmp_path)
    sweep = plan("train", [*TINY, f"results={tmp_path}"])
    sweep.create()
    with pytest.raises(ConfigError, match="must be a completed run; it is pending"):
        normexp.load(sweep.folders[0].path)


@pytest.mark.slow
def test_load_imports_no_user_code_unasked(tmp_path):
    """A stranger's run must not execute their classes just because it is looked at."""
    lab = tmp_path / "lab"
    (lab / "variant").mkdir(parents=True)
    (lab / "variant" / "theirs.yaml").write_text("_target_: theirs.Theirs\n")
    (lab / "theirs.py").write_text("from normexp.variants.post_ln import PostLN\n\nclass Theirs(PostLN): ...\n")
    sweep = plan("train", [*TINY, "steps=4", "variant=theirs", f"results={tmp_path}"], config_dirs=[str(lab)])
    sweep.create()
    execute(sweep.folders[0].path)
    with pytest.raises(ConfigError, match="pass trust=True"):
        normexp.load(sweep.folders[0].path)
    assert type(normexp.load(sweep.folders[0].path, trust=True).model.stacks[0].variant).__name__ == "Theirs"


def test_import_is_light():
    code = "import sys, normexp; print('torch' in sys.modules, normexp.__version__)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).startswith("False 0.")
