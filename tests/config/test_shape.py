"""Widths that keep the number of parameters at every depth."""

import pytest

from normexp.config.identity import identity
from normexp.config.schema import ignored_keys
from normexp.config.shape import layer_parameters
from normexp.errors import ConfigError
from normexp.sweep.plan import plan, relative_cost
from tests.support.configs import config_of
from tests.support.models import built

TASKS = ("translation", "language_modelling", "classification")
CPU = "training.device=cpu"


def in_matrices(config) -> int:
    """Counted on the model itself: weights of the sub-layers' matrices."""
    stacks = built(config).stacks
    named = [(name, p) for stack in stacks for name, p in stack.layers.named_parameters()]
    return sum(p.numel() for name, p in named if ".sublayer." in name and not name.endswith("bias"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "word"),
    [
        *((task, word) for task in TASKS for word in ("block=transformer", "block=llama", "attention=all_attention")),
        *((task, "model.encoder_depth=2") for task in TASKS if task != "language_modelling"),
        ("language_modelling", "model.decoder_depth=2"),
    ],
)
def test_parameters_are_those_of_the_model(task, word):
    config = config_of(f"task={task}", "depth=3", CPU, word)
    assert layer_parameters(config) == in_matrices(config)


@pytest.mark.slow
@pytest.mark.parametrize("block", ["transformer", "llama"])
@pytest.mark.parametrize("task", TASKS)
def test_every_depth_has_the_same_parameters(task, block):
    words = [f"task={task}", f"block={block}", "variant=pre_ln", CPU, "model.parameters=600000"]
    configs = [run.config for run in plan("sweep", [*words, "depth=2,6,12,24"]).runs]
    assert [layer_parameters(each) for each in configs] == pytest.approx([600_000] * 4, rel=0.01)
    widths = [each.model.width for each in configs]
    assert widths == sorted(widths, reverse=True)
    ratios = [each.model.feed_forward / each.model.width for each in configs]
    assert ratios == pytest.approx([4 if block == "transformer" else 168 / 64] * 4, rel=0.3)
    assert [relative_cost(each) for each in configs] == pytest.approx([relative_cost(configs[0])] * 4, rel=0.01)


def test_without_a_feed_forward_the_width_alone_is_chosen():
    config = config_of("model.parameters=600000", "model.feed_forward=0", "depth=4", CPU)
    assert config.model.feed_forward == 0
    assert layer_parameters(config) == pytest.approx(600_000, rel=0.1)


@pytest.mark.slow
def test_the_sizes_that_follow_are_the_runs_identity():
    chosen = config_of("model.parameters=600000", "depth=4", CPU)
    size = chosen.model
    by_hand = config_of(f"model.width={size.width}", f"model.feed_forward={size.feed_forward}", "depth=4", CPU)
    assert identity(chosen) == identity(by_hand)
    assert "model.parameters" in ignored_keys()


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("model.width=32", "model.width cannot be set with model.parameters, which chooses it; remove one of them"),
        (
            "model.feed_forward=99",
            "model.feed_forward cannot be set with model.parameters, which chooses it; remove one of them",
        ),
        # In the narrowest encoder layer 4 · 4² + 2 · 4, in a decoder layer 8 · 4² + 2 · 4.
        ("depth=20000", "model.parameters must be at least 4,160,000 with depth=20000 and model.heads=4; got 600,000"),
    ],
)
def test_what_leaves_nothing_to_choose_is_refused(word, said):
    with pytest.raises(ConfigError) as refused:
        config_of("model.parameters=600000", word, CPU)
    assert str(refused.value) == said
