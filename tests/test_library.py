"""normexp as a library: what a notebook imports."""

import pickle
import re
import shutil
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
from tests.support.cli import in_process
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
    lab = lab_of(tmp_path, "theirs")
    sweep = plan("train", [*TINY, "steps=4", "variant=theirs", f"results={tmp_path}"], config_dirs=[str(lab)])
    sweep.create()
    execute(sweep.folders[0].path)
    with pytest.raises(ConfigError, match="pass trust=True"):
        normexp.load(sweep.folders[0].path)
    assert type(normexp.load(sweep.folders[0].path, trust=True).model.stacks[0].variant).__name__ == "Theirs"
    (lab / "theirs.py").write_text((lab / "theirs.py").read_text().replace("...", "edited = True"))
    with pytest.raises(ConfigError, match=r"was trained by other code than .* has now; run its sweep again"):
        normexp.load(sweep.folders[0].path, trust=True)


def lab_of(folder: Path, name: str) -> Path:
    """A user's folder with a variant."""
    lab, cls = folder / "lab", name.capitalize()
    (lab / "variant").mkdir(parents=True)
    (lab / "variant" / f"{name}.yaml").write_text(f"_target_: {name}.{cls}\n")
    (lab / f"{name}.py").write_text(f"from normexp.variants.post_ln import PostLN\n\nclass {cls}(PostLN): ...\n")
    return lab


def test_import_is_light():
    code = "import sys, normexp; print('torch' in sys.modules, normexp.__version__)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).startswith("False 0.")


class Touch:
    """What a pickle may do when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.slow
def test_a_file_of_weights_runs_no_code(results, tmp_path):
    run = next(results.glob("*/pre_ln*"))
    theirs = Path(shutil.copytree(run, tmp_path / run.name))
    marker = tmp_path / "ran"
    torch.save({"model": Touch(marker)}, theirs / "weights.pt")
    (theirs / "files.json").unlink()
    with pytest.raises(ConfigError, match=r"is damaged: weights.pt cannot be loaded"):
        normexp.load(theirs)
    torch.save({"model": Touch(marker)}, theirs / "checkpoint.pt")
    sound = normexp.load(run)
    trainer = Trainer(sound.config, sound.corpus)
    with pytest.raises(pickle.UnpicklingError):
        trainer.load(theirs / "checkpoint.pt")
    assert not marker.exists()


@pytest.mark.slow
@pytest.mark.usefixtures("svg_alone")
def test_looking_at_results_imports_no_code_of_theirs(tmp_path, monkeypatch):
    """Nor does load, unless it is asked to."""
    lab = lab_of(tmp_path, "strange")
    line = [*TINY, "steps=4", "variant=strange", "seed=0,1", f"results={tmp_path}/results"]
    sweep = plan("sweep", line, config_dirs=[str(lab)], name="try")
    sweep.create()
    for run in sweep.folders:
        execute(run.path)
    (lab / "strange.py").write_text("raise SystemExit('imported')")
    monkeypatch.delitem(sys.modules, "strange")
    folder = str(sweep.path)
    first, second = (str(run.path) for run in sweep.folders)
    for words in (["results", folder], ["figures", folder], ["report", folder], ["compare", first, second],
                  ["status", folder]):  # fmt: skip
        assert in_process(*words).exit_code == 0, words
    with pytest.raises(ConfigError, match="pass trust=True"):
        normexp.load(first)
    assert "strange" not in sys.modules
