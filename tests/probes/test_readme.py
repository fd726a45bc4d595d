"""The documentation of the probes against their code."""

import importlib
import re
import sys
from pathlib import Path

import pytest
import yaml

from normexp.data.corpus import load_corpus
from normexp.probes.probe_set import ProbeSet
from normexp.training.trainer import Trainer
from tests.support.configs import config_of
from tests.support.probes import trainer_of
from tests.support.runs import TINY
from tests.support.steps import take_step

README = Path("normexp/probes/README.md").read_text()
NAMES = sorted(path.stem for path in Path("configs/probe").glob("*.yaml"))


def class_of(name):
    target = yaml.safe_load(Path(f"configs/probe/{name}.yaml").read_text())["_target_"]
    module, _, cls = target.rpartition(".")
    return getattr(importlib.import_module(module), cls)


def test_the_table_lists_every_probe():
    assert sorted(re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE)) == NAMES


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_statistics_are_those_that_a_probe_writes(name):
    """`sharpness` needs an optimizer for two of its own; see test_sharpness."""
    trainer = trainer_of(f"probe=[{name}]", "model.width=4", "model.feed_forward=4")
    _, measured = take_step(trainer, next(trainer.data()), ProbeSet(trainer.config).measure)
    (frame,) = measured.frames()
    probe = class_of(name)
    expected = {s for s in probe.statistics if not s.startswith("preconditioned")}
    assert set(frame["statistic"]) - {"preconditioned_sharpness", "preconditioned_sharpness_over_threshold"} == expected
    assert probe.measures
    assert len(probe.measures) < 120


@pytest.mark.slow
def test_the_example_of_a_probe_works(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    python, config = (re.search(rf"```{kind}\n(.*?)```", README, re.DOTALL)[1] for kind in ("python", "yaml"))
    assert len(python.splitlines()) <= 20
    (tmp_path / "my_probe.py").write_text(python)
    (tmp_path / "probe").mkdir()
    (tmp_path / "probe" / "largest_entry.yaml").write_text(config)
    size = [word for word in TINY if not word.startswith(("data.", "record."))]
    config = config_of(*size, "data.pairs=300", "depth=2", "probe=[largest_entry]", config_dirs=[str(tmp_path)])
    trainer = Trainer(config, load_corpus(config.data))
    _, measured = take_step(trainer, next(trainer.data()), ProbeSet(config).measure)
    (frame,) = measured.frames()
    assert len(frame) == 2 * 2 + 2 * 3
    assert (frame["value"] > 0).all()
