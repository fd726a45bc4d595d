"""Every choice that configs/ offers can be built and trained; every variant computes what it did when it was added.

Nothing here names an option of a group: a new YAML is picked up by itself.
"""

import math
from dataclasses import replace
from functools import cache

import pytest
import torch

from normexp.config.compose import Composer
from normexp.config.schema import GENERATING, SETS
from normexp.errors import ConfigError
from normexp.norms import NoNorm
from normexp.sweep.preflight import check_buildable
from tests.support import golden
from tests.support.configs import choice_of, config_of, with_values
from tests.support.steps import take_step

COMPOSER = Composer("train")
TASKS, VARIANTS = COMPOSER.options("task"), COMPOSER.options("variant")
TASKS_BY_SITES = sorted(TASKS, key=lambda task: task != "translation")  # the one with all kinds of sites first
# Data from outside, which a fingerprint names, is not here to be built.
DATA = [name for name in COMPOSER.options("data") if not COMPOSER.choice("data", name).fingerprint]
# What else a run can choose besides variant, norm and task; probes have separate tests.
OTHERS = [f"{group}={option}" for group in ("init", "optimizer", "schedule") for option in COMPOSER.options(group)]
BLOCKS = [block for block in COMPOSER.options("block") if block != "transformer"]  # the one of all other tests
SIZES = [f"model={option}" for option in COMPOSER.options("model")]
TINIEST = {"encoder_depth": 1, "decoder_depth": 1, "width": 8, "feed_forward": 8}


def composed(*line):
    """Hydra keeps one composer at a time, and other tests open theirs."""
    return config_of(*line)


@cache
def norms():
    """Every norm that configs/norm offers."""
    return {name: choice_of("norm", name) for name in COMPOSER.options("norm")}


@cache
def attentions():
    """What each choice of attention sets."""
    keys = [key.removeprefix("model.") for key in SETS["attention"]]
    sizes = {name: vars(composed(f"attention={name}").model) for name in COMPOSER.options("attention")}
    return {name: {key: size[key] for key in keys} for name, size in sizes.items()}


def go_together(variant, norm, task):
    """Whether the two classes allow the combination, in this task."""
    unbounded = variant.needs_norm and norm is NoNorm
    leaks = getattr(norm, "refuses_causal", False) and task in GENERATING
    return variant.uses_norm and not unbounded and not leaks


def one_step(config):
    """Its loss, its gradients and the weights after it are finite, in float32."""
    with golden.precision(torch.float32):
        trainer = golden.trainer_of(config)
        loss, _ = take_step(trainer, next(trainer.data()))
    assert math.isfinite(loss.item())
    for name, parameter in trainer.model.named_parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all(), name
        assert parameter.isfinite().all(), name


def refusal(function, *arguments):
    """The one sentence of the ConfigError that it raises; empty where it raises none."""
    sentence = ""
    try:
        function(*arguments)
    except ConfigError as refused:
        sentence = str(refused)
    assert "\n" not in sentence
    return sentence


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_norm_and_task(variant):
    """Each combination is rejected with one sentence, or it is allowed.

    It then takes a finite step in one of the tasks: translation, which has every kind of stack and site, where it can.
    """
    configs = {task: with_values(golden.tiny_run(variant, task), model=TINIEST) for task in TASKS_BY_SITES}
    for config in configs.values():
        one_step(config)  # no norm among the overrides
    for name, norm in norms().items():
        allowed = []
        for task, config in configs.items():
            chosen = replace(config, norm=norm)
            sentence = refusal(check_buildable, chosen, ["norm"])
            if go_together(config.variant.cls, norm.cls, task):
                assert not sentence
                allowed.append(chosen)
            else:
                assert sentence.startswith("norm"), name
        for chosen in allowed[:1]:
            one_step(chosen)


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_attention_and_task(variant):
    """Likewise with every choice of attention."""
    for task in TASKS_BY_SITES:
        config = golden.tiny_run(variant, task)
        for sizes in attentions().values():
            chosen = with_values(config, model={**TINIEST, **sizes})
            sentence = refusal(check_buildable, chosen, ["attention"])
            if config.variant.cls.needs_feed_forward and not sizes["feed_forward"]:
                assert sentence == f"model.feed_forward must be at least 1 with variant={variant}; got 0"
            else:
                assert not sentence
                if task == TASKS_BY_SITES[0]:
                    one_step(chosen)


@pytest.mark.slow
@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_takes_a_step_with_every_block(variant, block):
    for task in TASKS:
        one_step(golden.tiny_run(variant, task, f"block={block}"))


@pytest.mark.slow
@pytest.mark.parametrize("choice", OTHERS)
def test_every_init_optimizer_and_schedule_takes_a_step(choice):
    one_step(golden.tiny_run("pre_ln", "translation", choice))


@pytest.mark.parametrize("size", SIZES)
def test_every_size_composes(size):
    assert composed(size).model.name == size.removeprefix("model=")


@pytest.mark.slow
@pytest.mark.parametrize("data", DATA)
def test_every_data_set_suits_a_task(data):
    """Every other task rejects it with a sentence that says what it is for."""
    refused = {task: refusal(composed, f"task={task}", f"data={data}") for task in TASKS}
    assert not all(refused.values())
    assert all(sentence.startswith(f"data={data} ") for sentence in refused.values() if sentence)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_computes_its_golden_numbers(variant):
    kept = golden.read(variant)
    assert kept, f"variant={variant} has no golden numbers: {golden.command(variant)}"
    changed = golden.differences(kept, golden.numbers(variant))
    assert not changed, "\n".join([f"if this is meant: {golden.command(variant)}", *changed])


def test_no_golden_numbers_outlive_their_variant():
    assert {path.stem for path in golden.FOLDER.glob("*")} <= set(VARIANTS)
