"""optimizer=muon: who is moved by what, one rate for all, checkpoints."""

import copy

import pytest
import torch

from normexp.errors import ConfigError
from tests.support import golden
from tests.support.runs import tiny_config
from tests.support.steps import take_step


@pytest.fixture
def trainer():
    return golden.trainer_of(golden.tiny_run("mhc", "language_modelling", "optimizer=muon"))


def hidden_of(model):
    roles = ("query", "key", "value", "out", "fc1", "fc2")
    return [n for n, _ in model.named_parameters() if n.split(".")[-2] in roles and n.endswith("weight")]


def test_muon_moves_the_matrices_of_sub_layers_only(trainer):
    """The matrices of a variant, such as mhc's, are AdamW's."""
    muon, adamw = trainer.optimizer.parts
    names = {id(p): n for n, p in trainer.model.named_parameters()}
    moved = [names[id(p)] for p in muon.param_groups[0]["params"]]
    assert moved == hidden_of(trainer.model)
    assert len(moved) == 2 * 6
    assert len(moved) + len(adamw.param_groups[0]["params"]) == len(names)


@pytest.mark.slow
def test_what_is_added_inside_a_sub_layer_is_adamws():
    more = ("block=llama", "addon=[gated_attention]", "optimizer=muon")
    trainer = golden.trainer_of(golden.tiny_run("pre_ln", "language_modelling", *more))
    names = {id(p): n for n, p in trainer.model.named_parameters()}
    roles = {names[id(p)].split(".")[-2] for p in trainer.optimizer.parts[0].param_groups[0]["params"]}
    assert roles == {"query", "key", "value", "out", "fc1", "fc2", "gate"}


def test_a_step_is_that_of_both_optimizers(trainer):
    """Of torch.optim's own, on copies, with the scheduled rate of this step: half of the peak."""
    batch = next(trainer.data())
    trainer.backward(batch)
    ours = dict(trainer.model.named_parameters())
    theirs = {name: copy.deepcopy(p) for name, p in ours.items()}
    for name, parameter in theirs.items():
        parameter.grad = ours[name].grad.clone()
    hidden = hidden_of(trainer.model)
    rate = 0.5 * trainer.config.lr
    muon = torch.optim.Muon([theirs[n] for n in hidden], rate, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
    others = [p for n, p in theirs.items() if n not in hidden]
    adamw = torch.optim.AdamW(others, rate, betas=(0.9, 0.98), weight_decay=0.0)
    muon.step()
    adamw.step()
    trainer.update()
    for name, parameter in ours.items():
        assert torch.allclose(parameter, theirs[name], rtol=1e-6, atol=1e-9), name


def test_a_checkpoint_continues_bit_for_bit(trainer, tmp_path):
    data = trainer.data()
    for _ in range(2):
        take_step(trainer, next(data))
    trainer.save(tmp_path / "checkpoint.pt")
    other = golden.trainer_of(trainer.config)
    other.load(tmp_path / "checkpoint.pt")
    batch = next(data)
    for each in (trainer, other):
        take_step(each, batch)
    for one, two in zip(trainer.model.parameters(), other.model.parameters(), strict=True):
        assert torch.equal(one, two)


def test_a_model_without_hidden_matrices_has_adamw_alone():
    from normexp.config.compose import Composer
    from normexp.training.optimizers import build_optimizer

    optimizer = build_optimizer(Composer("train").choice("optimizer", "muon"), torch.nn.Linear(2, 2), lr=1e-3)
    assert [type(part).__name__ for part in optimizer.parts] == ["AdamW"]
    assert optimizer.param_groups[0]["lr"] == 1e-3


def test_an_adjustment_that_muon_does_not_have_is_refused():
    with pytest.raises(ConfigError, match=r"^optimizer.adjust must be match_rms_adamw or original; got none$"):
        tiny_config("optimizer=muon", "optimizer.adjust=none")
