"""Stacked runs: one batched model, and the tables of separate runs but for rounding."""

import shutil
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from normexp.config.compose import Composer
from normexp.errors import ConfigError, StoppedError
from normexp.sweep.executor import leaders, prepare
from normexp.sweep.plan import plan
from normexp.sweep.worker import execute
from normexp.training.stacked import Stacked, difference
from tests.support import golden
from tests.support.configs import config_of, with_values
from tests.support.runs import TINY

COMPOSER = Composer("train")
GRID = (*TINY, "variant=pre_ln", "lr=1e-3,3e-3", "seed=0,1", "warmup=4", "record.checkpoint_every=5")
ALIKE = 1e-5  # relative, of tables
ZERO = 1e-6  # gradient norms below are rounding: a key's bias changes no softmax


def trainers_of(variant, task="translation", *more, count=3, **changes):
    config = golden.tiny_run(variant, task, *more)
    return [golden.trainer_of(with_values(config, seed=seed, steps=20, **changes)) for seed in range(count)]


@pytest.mark.slow
@pytest.mark.parametrize("variant", COMPOSER.options("variant"))
def test_gradients_of_every_variant_are_those_of_separate_runs(variant):
    with golden.precision(torch.float64):
        for task in COMPOSER.options("task"):
            trainers = trainers_of(variant, task)
            assert difference(trainers, [next(trainer.data()) for trainer in trainers]) < 1e-12


@pytest.mark.slow
@pytest.mark.parametrize(
    "more",
    [
        "norm=rms_norm",
        "norm=scale_norm",
        "norm=dyt",
        "model.positions=rotary",
        "model.positions=alibi",
        "attention=all_attention",
        "model.tied=false",
        "model.fix_norm=true",
        "model.attention_norm=qk",
        "block=llama",
        "addon=[gpas]",
        "training.label_smoothing=0.1",
    ],
)
def test_gradients_of_other_parts_are_too(more):
    with golden.precision(torch.float64):
        trainers = trainers_of("pre_ln", "translation", more)
        assert difference(trainers, [next(trainer.data()) for trainer in trainers]) < 1e-12


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["batch_norm", "power_norm"])
def test_models_with_running_statistics_are_not_stacked(norm):
    """Padding would enter them."""
    trainers = trainers_of("pre_ln", "translation", f"norm={norm}")
    assert difference(trainers, [next(trainer.data()) for trainer in trainers]) == np.inf


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adam", "sgd", "muon"])
def test_updates_are_those_of_separate_runs(optimizer):
    """Fused optimizers read gradients in the order of memory, so their strides count."""
    with golden.precision(torch.float64):
        ours, apart = (trainers_of("post_ln", "translation", f"optimizer={optimizer}") for _ in range(2))
        stacked, data = Stacked(ours), [list(islice(trainer.data(), 4)) for trainer in ours]
        for batches in zip(*data, strict=True):
            losses = stacked.backward(batches)
            for trainer, other, batch, loss in zip(ours, apart, batches, losses, strict=True):
                assert loss.item() == pytest.approx(other.backward(batch).item(), rel=1e-12)
                trainer.update()
                other.update()
    for trainer, other in zip(ours, apart, strict=True):
        for one, two in zip(trainer.model.parameters(), other.model.parameters(), strict=True):
            torch.testing.assert_close(one, two, rtol=1e-6, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variant", "more"),
    [("branch_norm", ()), ("pre_ln", ("addon=[prores]", "addon.prores.steps=3"))],
)
def test_what_changes_with_the_step_does_so_in_a_stack(variant, more):
    """Constants that depend on the step are buffers, and a stack that copied them once trained with the first."""
    with golden.precision(torch.float64):
        trainers = trainers_of(variant, "translation", *more, count=2)
        data = [trainer.data() for trainer in trainers]
        for _ in range(4):
            assert difference(trainers, [next(each) for each in data]) < 1e-12
            for trainer in trainers:
                trainer.update()


@pytest.mark.slow
def test_a_checkpoint_holds_the_weights_of_its_run_alone(tmp_path):
    alone, *several = trainers_of("pre_ln", count=5)
    alone.save(tmp_path / "alone.pt")
    Stacked(several)
    several[0].save(tmp_path / "stacked.pt")
    sizes = [(tmp_path / f"{name}.pt").stat().st_size for name in ("alone", "stacked")]
    assert sizes[1] == pytest.approx(sizes[0], rel=0.05)


def created(path: Path, stacked: int):
    """The runs of a small grid as a sweep writes them before it starts any, and those that a pool gets."""
    sweep = plan("sweep", [*GRID, f"training.stacked={stacked}", f"results={path}"], name="try")
    return sweep.folders, leaders(sweep, prepare(sweep, lambda text: None))


def alike(one: Path, other: Path):
    """The tables of two runs have the same rows, with values that are equal but for rounding."""
    for name in ("curves", "layers"):
        ours, theirs = (pd.read_parquet(path / f"{name}.parquet") for path in (one, other))
        pd.testing.assert_frame_equal(ours.drop(columns="value"), theirs.drop(columns="value"))
        large = theirs["value"].abs() > ZERO
        np.testing.assert_allclose(ours["value"][large], theirs["value"][large], rtol=ALIKE)
        assert (ours["value"][~large].abs() <= 10 * ZERO).all()


@pytest.fixture(scope="module")
def apart(tmp_path_factory):
    """The four runs of the grid, one after the other."""
    folders, first = created(tmp_path_factory.mktemp("apart"), stacked=1)
    assert len(first) == 4
    for folder in first:
        execute(folder.path)
    return folders


@pytest.mark.slow
def test_tables_are_those_of_separate_runs(tmp_path, apart):
    folders, (leader,) = created(tmp_path, stacked=4)
    execute(leader.path)
    for folder, other in zip(folders, apart, strict=True):
        assert folder.status["state"] == "completed"
        assert "trains as one of 4 runs" in folder.log.read_text()
        assert folder.log.read_text().count("attempt 1") == 1
        alike(folder.path, other.path)
    assert folders[0].status["outcome"] == apart[0].status["outcome"]


@pytest.mark.slow
def test_at_most_so_many_train_together(tmp_path):
    folders, first = created(tmp_path, stacked=3)
    assert [len(folder.stacked) for folder in first] == [2, 0]
    assert {each.name for folder in first for each in (folder, *folder.stacked)} == {each.name for each in folders}


class StopAt:
    """A signal that arrives when a run asks for the Nth time."""

    def __init__(self, at):
        self.at, self.asked = at, 0

    def __call__(self):
        self.asked += 1
        return self.asked > self.at


@pytest.mark.slow
def test_a_run_that_is_behind_catches_up(tmp_path, apart):
    """After a signal between two of them, one has taken a step more; after a kill, several."""
    folders, (leader,) = created(tmp_path, stacked=4)
    with pytest.raises(StoppedError):
        execute(leader.path, StopAt(4 * 7 + 2))
    steps = [folder.status["step"] for folder in folders if "step" in folder.status]
    assert all(folder.checkpoint.exists() for folder in folders)
    late = folders[2]
    late.reset()
    execute(leader.path)
    for folder, other in zip(folders, apart, strict=True):
        assert folder.status["state"] == "completed", steps
        alike(folder.path, other.path)


@pytest.mark.slow
def test_a_run_that_ends_early_leaves_the_others_alone(tmp_path, apart):
    """One diverges at once, one is held by another process: the others go on."""
    folders, (leader,) = created(tmp_path, stacked=4)
    others = [folder for folder in folders if folder.name != leader.name]
    broken, held, fine = others
    broken.create(with_values(broken.config, lr=1e30))
    with held.lock():
        execute(leader.path)
    assert broken.status["outcome"] == "diverged"
    assert held.status["state"] == "pending"
    by_name = {folder.name: folder for folder in apart}
    for folder in (leader, fine):
        alike(folder.path, by_name[folder.name].path)


@pytest.mark.slow
def test_a_neighbour_that_is_gone_is_left_out(tmp_path):
    folders, (leader,) = created(tmp_path, stacked=4)
    gone = next(folder for folder in folders if folder.name != leader.name)
    shutil.rmtree(gone.path)
    with pytest.raises(FileNotFoundError):
        execute(leader.path)
    assert [folder.status["state"] for folder in folders].count("completed") == 3


@pytest.mark.slow
def test_where_a_batched_step_fails_runs_go_on_alone(tmp_path, apart, monkeypatch):
    """A larger batch than the first may not fit into memory."""
    folders, (leader,) = created(tmp_path, stacked=4)
    steps = []

    def backward(stacked, batches, really=Stacked.backward):
        steps.append(len(batches))
        if len(steps) > 5:
            raise RuntimeError("CUDA out of memory")
        return really(stacked, batches)

    monkeypatch.setattr(Stacked, "backward", backward)
    execute(leader.path)
    assert len(steps) == 6
    for folder, other in zip(folders, apart, strict=True):
        assert "trains alone: RuntimeError: CUDA out of memory" in folder.log.read_text()
        alike(folder.path, other.path)


@pytest.mark.parametrize(
    "key",
    [
        "model.dropout=0.1",
        "model.attention_dropout=0.1",
        "training.amp=bf16",
        "training.accumulate=2",
        "training.activation_checkpointing=True",
        "training.compile=True",
    ],
)
def test_settings_that_cannot_be_stacked_are_refused(key):
    with pytest.raises(ConfigError, match=f"^training.stacked must be 1 with {key}; got 2"):
        config_of(*TINY, "training.stacked=2", key)


def test_a_status_that_names_other_folders_is_damaged(tmp_path):
    """The names are of neighbours, never paths."""
    _, (leader,) = created(tmp_path, stacked=4)
    for names in (["../elsewhere"], [1], "all"):
        leader.update(state="pending")
        leader.update(stacked=names)
        assert leader.status["state"] == "damaged"
        assert leader.stacked == []
