"""On a GPU: the numbers of the CPU, no wait for the device within a step, precisions, several runs at once."""

import math
import warnings
from itertools import islice

import pandas as pd
import pytest
import torch

import normexp
from normexp.config.compose import Composer
from normexp.data.corpus import load_corpus
from normexp.probes.probe_set import ProbeSet
from normexp.training.stacked import Stacked, difference
from normexp.training.trainer import Trainer
from tests.support import golden
from tests.support.cli import in_process
from tests.support.configs import config_of, with_values
from tests.support.probes import rows_of
from tests.support.runs import TINY
from tests.support.steps import take_step

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")

COMPOSER = Composer("train")
VARIANTS, TASKS, PROBES = (COMPOSER.options(group) for group in ("variant", "task", "probe"))
GPU = {"device": "cuda"}


def on_gpu(variant="pre_ln", task="translation", *more, **training):
    config = golden.tiny_run(variant, task, *more)
    return golden.trainer_of(with_values(config, steps=20, training={**golden.TRAINING, **GPU, **training}))


@pytest.mark.parametrize("variant", VARIANTS)
def test_golden_numbers(variant):
    kept = golden.read(variant)
    assert kept
    assert golden.differences(kept, golden.numbers(variant, device="cuda")) == []


@pytest.fixture
def refused_waits():
    """Switches to refusing every operation for which the host waits, and back afterwards."""

    def switch(mode):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that this mode of PyTorch does not find all of them
            torch.cuda.set_sync_debug_mode(mode)

    yield lambda: switch("error")
    switch("default")


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_step_never_waits_for_the_device(variant, task, refused_waits):
    """With gradient norms measured and gradients clipped; the first steps allocate."""
    trainer = on_gpu(variant, task, clip=1.0)
    probes, batches = ProbeSet(trainer.config), trainer.data()
    assert probes.probes
    for batch in islice(batches, 2):
        take_step(trainer, batch, probes.measure)
    refused_waits()
    for batch in islice(batches, 3):
        take_step(trainer, batch, probes.measure)


@pytest.mark.parametrize("training", [{"amp": "bf16"}, {"amp": "fp16"}, {"accumulate": 3}], ids=str)
def test_neither_does_one_in_parts_or_in_half_precision(training, refused_waits):
    trainer = on_gpu(**training)
    batches = trainer.data()
    for batch in islice(batches, 2):
        take_step(trainer, batch)
    refused_waits()
    for batch in islice(batches, 3):
        take_step(trainer, batch)


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # which torch.compile reads while it traces
@pytest.mark.filterwarnings("ignore:TensorFloat32 tensor cores")  # which torch.compile recommends
@pytest.mark.parametrize(
    "training",
    [{}, {"amp": "bf16"}, {"amp": "fp16"}, {"activation_checkpointing": True}, {"accumulate": 2}, {"compile": True}],
    ids=str,
)
def test_every_way_to_compute_trains(training):
    plain, trainer = on_gpu(), on_gpu(**training)
    pairs = zip(islice(plain.data(), 20), islice(trainer.data(), 20), strict=True)
    losses = [(take_step(plain, one)[0].item(), take_step(trainer, other)[0].item()) for one, other in pairs]
    first, last = losses[0], losses[-1]
    assert first[1] == pytest.approx(first[0], rel=0.02)
    assert last[1] < first[1]
    assert last[1] == pytest.approx(last[0], rel=0.05)


@pytest.mark.parametrize("name", PROBES)
def test_probes_read_what_they_read_on_the_cpu(name):
    found = []
    with golden.precision(torch.float64):
        for device in ("cpu", "cuda"):
            large = {"device": device, "batch_tokens": 400}  # enough tokens for probes that fit a regression
            config = with_values(golden.tiny_run("post_ln", "translation"), training=large)
            trainer = golden.trainer_of(config)
            batch = next(trainer.data())
            trainer.backward(batch)
            found.append(rows_of(COMPOSER.choice("probe", name).build(), trainer.probe_context(batch)))
    pd.testing.assert_series_equal(*found, rtol=1e-5, atol=1e-9)


def test_a_checkpoint_of_one_device_goes_on_on_the_other(tmp_path):
    with golden.precision(torch.float64):
        one, other = (on_gpu(device=device) for device in ("cuda", "cpu"))
        for batch in islice(one.data(), 3):
            take_step(one, batch)
        one.save(tmp_path / "checkpoint.pt")
        other.load(tmp_path / "checkpoint.pt")
        losses = [take_step(trainer, next(trainer.data()))[0].item() for trainer in (one, other)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-9)


def test_deep_stacks_fit_with_activation_checkpointing():
    """Memory that activations take, at 200 layers: a tenth at most."""
    peaks = []
    for again in (False, True):
        size = {"width": 64, "feed_forward": 256, "encoder_depth": 200, "decoder_depth": 1}
        config = golden.tiny_run("pre_ln", "classification")
        training = {**golden.TRAINING, **GPU, "activation_checkpointing": again}
        trainer = golden.trainer_of(with_values(config, training=training, model=size))
        batch = next(trainer.data())
        take_step(trainer, batch)
        trainer.optimizer.zero_grad(set_to_none=True)
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        loss = trainer._logits(trainer.model, batch).sum()
        peaks.append(torch.cuda.memory_allocated() - before)
        del loss
    assert peaks[1] <= 0.1 * peaks[0], peaks


def test_runs_share_a_gpu(tmp_path, monkeypatch):
    """Four at a time, and the losses are those of the CPU."""
    monkeypatch.setenv("NORMEXP_RESULTS", str(tmp_path))
    line = [*TINY, "variant=pre_ln", "depth=1,2", "seed=0,1", "steps=5"]
    for device, jobs in (("cuda", "4"), ("cpu", "2")):
        done = in_process("sweep", *line, f"training.device={device}", "--name", device, "--jobs", jobs)
        assert done.exit_code == 0, done.output
    found = [normexp.runs(tmp_path / device).sort_values(["depth", "seed"]) for device in ("cuda", "cpu")]
    losses = [runs["final_loss"] for runs in found]
    assert len(losses[0]) == 4
    assert losses[0].tolist() == pytest.approx(losses[1].tolist(), rel=1e-3)


def stacked_on_gpu(variant, task, *more, count=3):
    config = on_gpu(variant, task, *more).config
    return [golden.trainer_of(with_values(config, seed=seed)) for seed in range(count)]


@pytest.mark.parametrize("variant", VARIANTS)
def test_stacked_gradients_are_those_of_separate_runs(variant):
    with golden.precision(torch.float64):
        for task in TASKS:
            trainers = stacked_on_gpu(variant, task)
            assert difference(trainers, [next(trainer.data()) for trainer in trainers]) < 1e-9


@pytest.mark.parametrize("task", TASKS)
def test_a_stacked_step_never_waits_for_the_device(task, refused_waits):
    trainers = stacked_on_gpu("post_ln", task)
    stacked, data = Stacked(trainers), [trainer.data() for trainer in trainers]

    def step():
        stacked.backward([next(batches) for batches in data])
        for trainer in trainers:
            trainer.update()

    step(), step()
    refused_waits()
    step(), step()


@pytest.mark.parametrize("task", TASKS)
def test_stacked_tables_are_those_of_separate_runs(task, tmp_path, monkeypatch):
    """Losses of every step to 1e-5; gradient norms, in which rounding grows, to 1e-4.

    With gelu: where a relu is at 0 but for rounding, its gradient is there or not.
    """
    monkeypatch.setenv("NORMEXP_RESULTS", str(tmp_path))
    line = [*TINY, f"task={task}", "variant=pre_ln", "depth=2", "seed=range(5)", "lr=1e-4,3e-4", "probe.every=1"]
    line += ["model.activation=gelu"]
    line = [key for key in line if task == "translation" or not key.startswith(("data.pairs", "record.sentences"))]
    for name, stacked in (("one", "5"), ("apart", "1")):
        done = in_process("sweep", *line, "training.device=cuda", f"training.stacked={stacked}", "--name", name)
        assert done.exit_code == 0, done.output
    logs = [log.read_text() for log in (tmp_path / "one").glob("*/log.txt")]
    assert len(logs) == 10
    assert all("trains as one of 5 runs" in log for log in logs)
    for table, alike in (("curves", 1e-5), ("layers", 1e-4)):
        one, apart = (normexp.table(tmp_path / name, table).drop(columns="folder") for name in ("one", "apart"))
        losses = one["statistic"] == "nll" if table == "curves" else apart["value"].abs() > 1e-5
        assert losses.sum() > 100
        pd.testing.assert_series_equal(one["value"][losses], apart["value"][losses], rtol=alike)


def test_auto_chooses_the_gpu():
    config = config_of(*TINY, "training.device=auto")
    assert config.training.device.startswith("cuda")
    trainer = Trainer(config, load_corpus(config.data))
    assert math.isfinite(take_step(trainer, next(trainer.data()))[0].item())
