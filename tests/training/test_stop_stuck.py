"""training.stop_stuck ends a run that is still stuck at a step, and no other."""

from dataclasses import replace

import pytest

from normexp.config.identity import identity
from normexp.config.validate import stop_step
from normexp.errors import ConfigError, StoppedError
from normexp.records.folder import RunFolder
from normexp.sweep.worker import execute
from normexp.training import loop
from tests.support.runs import tiny_config


def stopping(config, at):
    return replace(config, training=replace(config.training, stop_stuck=at))


def trained(folder, config):
    run = RunFolder(folder)
    run.create(config)
    execute(folder)
    return run


@pytest.fixture
def hopeless():
    """A run whose rate is too small to learn anything."""
    return replace(tiny_config(), lr=1e-12, steps=40)


@pytest.mark.slow
def test_a_stuck_run_ends_there_with_its_validation_loss(tmp_path, hopeless):
    run = trained(tmp_path / "run", stopping(hopeless, "50%"))
    assert (run.status["state"], run.status["outcome"], run.status["step"]) == ("completed", "stuck", 20)
    assert run.status["valid_loss"] > 0
    assert run.finished


@pytest.mark.slow
def test_a_run_that_learns_is_the_same_with_and_without(tmp_path):
    config = replace(tiny_config(), steps=120, lr=1e-2)
    plain, watched = trained(tmp_path / "plain", config), trained(tmp_path / "watched", stopping(config, "100"))
    assert watched.status["outcome"] == "partial"
    assert watched.status["step"] == 120
    assert watched.status["final_loss"] == plain.status["final_loss"]


@pytest.mark.slow
def test_killed_between_its_last_checkpoint_and_its_end_it_ends(tmp_path, hopeless, monkeypatch):
    run = RunFolder(tmp_path / "run")
    config = stopping(hopeless, "50%")
    run.create(config)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "result", killed)
        with pytest.raises(StoppedError):
            execute(run.path)
    execute(run.path)
    assert (run.status["outcome"], run.status["step"]) == ("stuck", 20)


def killed(*_):
    raise StoppedError("killed")


def test_runs_without_the_key_keep_their_identity(hopeless):
    assert identity(stopping(hopeless, "")) == identity(hopeless)
    assert identity(stopping(hopeless, "50%")) != identity(hopeless)


@pytest.mark.parametrize("text", ["-1", "41", "half", "110%"])
def test_a_step_outside_the_training_is_refused(hopeless, text):
    with pytest.raises(ConfigError, match=r"training\.stop_stuck must be "):
        stop_step(stopping(hopeless, text))
