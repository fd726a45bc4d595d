"""Blocks: what the presets set, the feed-forward with a gate, and matrices without biases."""

import pytest
import torch
from torch import nn

from normexp.config.identity import identity
from normexp.config.schema import Model
from normexp.model.feed_forward import FeedForward
from normexp.model.variant import Context
from normexp.sweep.plan import plan
from tests.support.configs import config_of, with_values
from tests.support.models import model_of
from tests.support.runs import TINY, tiny_config

SMALL = tuple(word for word in TINY if not word.startswith("model.feed_forward"))


def test_llama_sets_every_part():
    config = config_of("block=llama", "training.device=cpu")
    model = config.model
    assert (config.block, config.norm.name) == ("llama", "rms_norm")
    assert (model.positions, model.activation, model.biases, model.tied) == ("rotary", "swiglu", False, False)


@pytest.mark.parametrize(("size", "hidden"), [("tiny", 168), ("small", 344), ("base", 1368)])
def test_a_gate_costs_no_parameters(size, hidden):
    """Three matrices hold as much as two that are 4 × width, but for 2 %: hidden widths are multiples of 8."""
    model = config_of("block=llama", f"model={size}", "training.device=cpu").model
    assert model.feed_forward == hidden
    assert 3 * model.feed_forward == pytest.approx(2 * 4 * model.width, rel=0.02)


@pytest.mark.parametrize(
    ("words", "key", "value"),
    [
        (("norm=layer_norm",), "norm", "layer_norm"),
        (("model.biases=true",), "biases", True),
        (("model.feed_forward=48",), "feed_forward", 48),
        (("attention=all_attention",), "feed_forward", 0),
    ],
)
def test_each_part_can_be_set_apart(words, key, value):
    config = config_of(*words, "block=llama", "training.device=cpu")
    assert (config.norm.name if key == "norm" else getattr(config.model, key)) == value


@pytest.mark.slow
def test_the_default_block_is_what_the_keys_say():
    """And a run keeps the identity that it had before there were blocks."""
    config = tiny_config()
    assert tiny_config("block=transformer") == config
    assert with_values(config, model={"biases": Model().biases}) == config
    others = [tiny_config(word) for word in ("block=llama", "model.biases=false", "model.activation=swiglu")]
    assert len({identity(each) for each in (config, *others)}) == 4


@pytest.mark.slow
def test_a_sweep_over_blocks_is_one_column():
    sweep = plan("sweep", [*SMALL, "variant=pre_ln", "block=transformer,llama", "norm=rms_norm"])
    assert sweep.swept == ("block",)
    assert [run.name.split("-")[0] for run in sweep.runs] == ["transformer", "llama"]
    assert [run.config.model.feed_forward for run in sweep.runs] == [256, 40]


def test_swiglu_is_its_formula():
    layer = FeedForward(6, 10, "swiglu", 0.0, {}, biases=False).double()
    x = torch.randn(2, 3, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    gate, up, down = (each.weight.detach().numpy() for each in (layer.gate, layer.fc1, layer.fc2))
    gated = x.numpy() @ gate.T
    expected = (gated / (1 + torch.from_numpy(-gated).exp().numpy()) * (x.numpy() @ up.T)) @ down.T
    torch.testing.assert_close(layer(x, Context()), torch.from_numpy(expected))


@pytest.mark.parametrize("task", ["translation", "classification"])
def test_without_biases_no_matrix_of_a_sub_layer_has_one(task):
    model = model_of("pre_ln", task=task, model={"biases": False, "activation": "swiglu"})
    matrices = [m for stack in model.stacks for m in stack.layers.modules() if isinstance(m, nn.Linear)]
    assert matrices
    assert all(matrix.bias is None for matrix in matrices)
