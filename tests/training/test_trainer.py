"""One step of training, and everything that must be the same when it is taken again."""

from itertools import islice, product
from pathlib import Path

import pytest
import torch

from normexp.config.schema import configs_folder
from normexp.data.corpus import load_corpus
from normexp.model.build import build
from normexp.model.variant import Variant
from normexp.probes.gradient_norm import GradientNorm
from normexp.records.folder import RunFolder
from normexp.sweep.worker import execute
from normexp.training import evaluate
from normexp.training.trainer import Trainer
from tests.support import golden
from tests.support.configs import with_values
from tests.support.probes import trainer_of
from tests.support.runs import tiny_config
from tests.support.steps import take_step


def weights(of: Trainer) -> list[torch.Tensor]:
    return [p.detach().clone() for p in of.model.parameters()]


def equal(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def choices(group: str) -> list[str]:
    return sorted(path.stem for path in (configs_folder() / group).glob("*.yaml"))


@pytest.mark.parametrize("clip", [0, 0.01])
@pytest.mark.parametrize("variant", ["post_ln", "pre_ln"])
def test_gradient_norms_are_those_before_clipping(variant, clip):
    """Clipped norms would hide what is compared between variants. The reference differentiates the loss by hand."""
    line = ("depth=2", f"variant={variant}")
    one = trainer_of(*line, f"training.clip={clip}")
    batch = next(one.data())
    _, measured = take_step(one, batch, GradientNorm().measure)
    rows = measured.frame(1).set_index(["stack", "layer", "site", "parameter"])["value"]

    corpus = load_corpus(one.config.data)
    model = build(one.config, corpus)
    scores = model(batch.source, batch.source_mask, batch.target)
    count = batch.labels != -100
    nll = -scores.log_softmax(-1)[count].gather(1, batch.labels[count][:, None]).mean()
    named = dict(model.named_parameters())
    gradients = dict(zip(named, torch.autograd.grad(nll, list(named.values())), strict=True))
    squares = {name: float(g.double().square().sum()) for name, g in gradients.items()}

    for stack, layer, site in product(("encoder", "decoder"), (1, 2), ("attention", "cross_attention", "feed_forward")):
        if (stack, site) == ("encoder", "cross_attention"):
            continue
        prefix = f"{stack}.layers.{layer:02d}.{site}."
        of_site = {name.removeprefix(prefix): s for name, s in squares.items() if name.startswith(prefix)}
        assert len(of_site) == (6 if site == "feed_forward" else 10)
        assert rows[stack, layer, site, ""] == pytest.approx(sum(of_site.values()) ** 0.5, rel=1e-4)
        for name, square in of_site.items():
            value = rows[stack, layer, site, name.removeprefix("sublayer.")]
            assert value == pytest.approx(square**0.5, rel=1e-4, abs=1e-7), prefix + name
    of_parameters = rows[rows.index.get_level_values("parameter") != ""]
    assert of_parameters.pow(2).sum() == pytest.approx(sum(squares.values()), rel=1e-4)
    if clip:
        left = torch.stack([p.grad.norm() for p in one.model.parameters()]).norm().item()
        assert left == pytest.approx(clip, rel=1e-3)
        assert sum(squares.values()) ** 0.5 > 10 * clip


@pytest.mark.slow
def test_dropout_is_a_function_of_the_seed_and_the_step_alone():
    """Neither the global generator nor another key may change it, or variants would not see the same noise."""

    def loss(step: int, *more: str, draws: int = 0) -> float:
        one = trainer_of("model.dropout=0.2", "model.attention_dropout=0.2", *more)
        one.done = step - 1
        torch.rand(draws)
        return float(take_step(one, batch)[0])

    batch = next(trainer_of().data())
    at_four = loss(4)
    assert loss(4, draws=5) == at_four
    assert loss(4, "lr=0.5") == at_four
    assert loss(5) != at_four


@pytest.mark.slow
def test_weights_and_data_order_follow_the_seed():
    """The same seed gives the same run; another seed changes both."""
    one, same, other = trainer_of("seed=0"), trainer_of("seed=0"), trainer_of("seed=1")
    assert not equal(weights(one), weights(other))
    assert not torch.equal(next(one.data()).source, next(other.data()).source)
    assert equal(weights(one), weights(same))
    assert torch.equal(next(one.data()).source, next(same.data()).source)


def test_the_data_goes_on_where_the_last_step_left_it():
    """Also across epochs: a resumed run sees no batch twice and leaves none out."""
    one = trainer_of()
    epoch = len(one.batches)
    every = list(islice(one.data(), 2 * epoch + 1))
    for done in (1, epoch - 1, epoch, epoch + 2):
        one.done = done
        assert torch.equal(next(one.data()).source, every[done].source)


@pytest.mark.slow
@pytest.mark.parametrize("dropout", [0, 0.1])
@pytest.mark.parametrize("optimizer", choices("optimizer"))
def test_a_checkpoint_goes_on_bit_for_bit(optimizer, dropout, tmp_path):
    """Five steps, a checkpoint and three more are eight steps, for every optimizer."""
    line = (f"optimizer={optimizer}", f"model.dropout={dropout}", f"model.attention_dropout={dropout}")
    straight = trainer_of(*line)
    for batch in islice(straight.data(), 8):
        take_step(straight, batch)

    first = trainer_of(*line)
    for batch in islice(first.data(), 5):
        take_step(first, batch)
    first.save(tmp_path / "checkpoint.pt")
    second = trainer_of(*line)
    second.load(tmp_path / "checkpoint.pt")
    assert second.done == 5
    for batch in islice(second.data(), 3):
        take_step(second, batch)
    assert equal(weights(second), weights(straight))
    assert not equal(weights(first), weights(straight))


def test_the_recorded_loss_is_not_smoothed():
    """Smoothing changes the gradients only, so that losses stay comparable."""
    plain, smoothed = trainer_of(), trainer_of("training.label_smoothing=0.2")
    batch = next(plain.data())
    assert take_step(plain, batch)[0] == take_step(smoothed, batch)[0]
    gradients = [[p.grad for p in one.model.parameters()] for one in (plain, smoothed)]
    assert not equal(*gradients)
    scores = evaluate.logits(plain.model, batch)
    by_hand = 0.8 * evaluate.cross_entropy(scores, batch.labels)
    real = scores.log_softmax(-1)[batch.labels != -100]
    assert evaluate.cross_entropy(scores, batch.labels, 0.2).item() == pytest.approx(
        (by_hand - 0.2 * real.mean()).item(), rel=1e-5
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    [
        *([f"optimizer={o}", f"schedule={s}"] for o in choices("optimizer") for s in choices("schedule")),
        ["training.amp=bf16"],
    ],
    ids=" ".join,
)
def test_every_way_to_take_a_step_moves_every_matrix(line):
    """A matrix that no optimizer or schedule moves would be a part of the model that is not trained."""
    one = trainer_of(*line)
    before = weights(one)
    for batch in islice(one.data(), 7):  # RAdam rectifies from its sixth step on
        nll, _ = take_step(one, batch)
        assert nll.isfinite()
    named = zip(one.model.named_parameters(), before, strict=True)
    still = [name for (name, p), old in named if p.ndim > 1 and torch.equal(p, old)]
    assert still == []
    assert all(p.isfinite().all() for p in one.model.parameters())
    assert all(p.dtype == torch.float32 for p in one.model.parameters())


def test_bf16_computes_in_bf16():
    """The loss differs, as rounding makes it, and only by that much."""
    one, half = trainer_of(), trainer_of("training.amp=bf16")
    batch = next(one.data())
    loss, rounded = float(take_step(one, batch)[0]), float(take_step(half, batch)[0])
    assert loss != rounded
    assert loss == pytest.approx(rounded, rel=0.02)


def test_the_rate_of_a_step_is_that_of_the_schedule():
    """Steps count from 1: the first step already has a rate."""
    one = trainer_of("lr=0.01", "warmup=4", "steps=10", "schedule=inverse_sqrt")
    rates = []
    for batch in islice(one.data(), 10):
        take_step(one, batch)
        rates.append(one.optimizer.param_groups[0]["lr"])
    assert rates[:4] == pytest.approx([0.0025, 0.005, 0.0075, 0.01])
    assert rates[9] == pytest.approx(0.01 * (4 / 10) ** 0.5)


def test_variants_are_given_every_step_before_it_is_taken(monkeypatch):
    """A variant that changes with time needs the number of the step that comes."""
    heard = []
    one = trainer_of()
    monkeypatch.setattr(Variant, "on_step_begin", lambda self, step: heard.append((self.shape.stack, step, one.done)))
    for batch in islice(one.data(), 2):
        take_step(one, batch)
    assert heard == [("encoder", 1, 0), ("decoder", 1, 0), ("encoder", 2, 1), ("decoder", 2, 1)]


def run(path: Path) -> RunFolder:
    folder = RunFolder(path)
    folder.create(tiny_config("steps=12", "record.checkpoint_every=4", "model.dropout=0.1"))
    execute(path)
    return folder


@pytest.mark.slow
def test_variants_are_calibrated_once_and_not_again_on_resume(tmp_path, monkeypatch):
    calls = []

    def calibrate(self, forward):
        forward()
        calls.append((self.shape.stack, self.training, torch.is_grad_enabled()))

    backward = Trainer.backward

    def backward_until_killed(self, batch):
        if self.done == 6:
            raise KeyboardInterrupt
        return backward(self, batch)

    untouched = run(tmp_path / "untouched")
    monkeypatch.setattr(Variant, "calibrate", calibrate)
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "backward", backward_until_killed)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "calibrated")
    calibrated = run(tmp_path / "calibrated")
    assert calibrated.status["attempts"] == 2
    assert calls == [("encoder", True, False), ("decoder", True, False)]
    # Calibration has its own data and dropout, so the training after it is the same as without it.
    for table in ("curves.parquet", "layers.parquet"):
        assert (calibrated.path / table).read_bytes() == (untouched.path / table).read_bytes()


class TwoRates(torch.optim.SGD):
    """Feed-forward matrices are frozen, all other parameters learn at the given rate."""

    def __init__(self, named_parameters, lr):
        groups = {False: [], True: []}
        for name, parameter in named_parameters:
            groups["feed_forward" in name].append((name, parameter))
        super().__init__([{"params": groups[False], "lr": lr}, {"params": groups[True], "lr": 0.0}], lr=lr)


def test_schedule_scales_the_rate_of_every_parameter_group():
    """An optimizer may group parameters by name; a group at rate 0 must stay as it is."""
    config = with_values(
        tiny_config("lr=0.1", "warmup=4", "steps=10"),
        optimizer={"name": "two_rates", "_target_": f"{__name__}.TwoRates"},
    )
    one = Trainer(config, load_corpus(config.data))
    before = {name: parameter.detach().clone() for name, parameter in one.model.named_parameters()}
    take_step(one, next(one.data()))
    assert [group["lr"] for group in one.optimizer.param_groups] == [pytest.approx(0.1 / 4), 0.0]
    for name, parameter in one.model.named_parameters():
        assert torch.equal(parameter, before[name]) == ("feed_forward" in name or parameter.grad.count_nonzero() == 0)


@pytest.mark.parametrize("task", ["translation", "classification", "language_modelling"])
@pytest.mark.parametrize("parts", [3, 1000])
def test_a_batch_in_parts_is_the_same_step(task, parts):
    """Parts have unequal numbers of labels, and there are never more of them than examples."""
    with golden.precision(torch.float64):
        whole = golden.trainer_of(golden.tiny_run("pre_ln", task))
        config = with_values(whole.config, training={"accumulate": parts, "label_smoothing": 0.1})
        whole.config = with_values(whole.config, training={"label_smoothing": 0.1})
        split = golden.trainer_of(config)
        batch = next(whole.data())
        losses = [take_step(trainer, batch)[0] for trainer in (whole, split)]
    torch.testing.assert_close(*losses)
    torch.testing.assert_close(*([p.grad for p in trainer.model.parameters()] for trainer in (whole, split)))


def test_parts_drop_different_activations():
    trainer = trainer_of("training.accumulate=2", "model.dropout=0.5")
    batch = next(trainer.data())
    first, second = (trainer._logits(trainer.model, batch, part=part) for part in (0, 1))
    assert not torch.equal(first, second)
    assert torch.equal(first, trainer._logits(trainer.model, batch))
