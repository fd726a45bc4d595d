"""Every choice that configs/ offers can be built and trained; every variant computes what it did when it was added.

Nothing here names a variant, a norm or a task: a new YAML is picked up by itself.
"""

import math

import golden_numbers as golden
import pytest
import torch

from normexp.launch import Composer
from normexp.rehearsal import rehearse
from normexp.schema import TASKS, BadInput
from normexp.target import locate

COMPOSER = Composer("train", [])
VARIANTS = COMPOSER.options("variant")
NORMS = {name: COMPOSER.resolve([f"norm={name}", "task=classification"])["norm"] for name in COMPOSER.options("norm")}
# Groups whose options any run can have beside its variant; task, data and probe have tests of their own.
OTHERS = [(group, option) for group in ("init", "optimizer", "schedule", "model") for option in COMPOSER.options(group)]


def composer():
    """Hydra keeps one composer at a time, and other tests open theirs."""
    return Composer("train", [])


def one_step(config):
    """Loss and gradients of one step in float32 are finite."""
    trainer = golden.trainer_of(config, torch.float32)
    loss, _ = trainer.step(next(trainer.data()))
    assert math.isfinite(loss.item())
    for name, parameter in trainer.model.named_parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all(), name
        assert parameter.isfinite().all(), name


def makes_sense(variant, norm, task):
    """Whether the two classes say that they go together in this mode."""
    causal = task != "classification"
    bare = norm.__name__ == "NoNorm" and variant.needs_norm
    return variant.uses_norm and not bare and not (norm.refuses_causal and causal)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_under_every_norm_in_every_mode_takes_a_step(variant, task):
    config = golden.config_of(variant, task, composer())
    config["model"] |= {"encoder_depth": 1, "decoder_depth": 1, "width": 8, "feed_forward": 8}
    for name, norm in NORMS.items():
        chosen = {**config, "norm": norm}
        if makes_sense(locate("variant", config["variant"]), locate("norm", norm), task):
            rehearse(chosen, ["norm"])
            one_step(chosen)
        else:
            with pytest.raises(BadInput, match=r"^norm") as refused:
                rehearse(chosen, ["norm"])
            assert len(str(refused.value).splitlines()) == 1, name


@pytest.mark.parametrize(("group", "option"), OTHERS, ids=[f"{group}={option}" for group, option in OTHERS])
def test_every_other_choice_takes_a_step(group, option):
    if group == "model":
        composer().resolve([f"model={option}", "data.pairs=200"])  # the large one is only composed
    else:
        one_step(golden.config_of("pre_ln", "translation", composer(), f"{group}={option}"))


@pytest.mark.parametrize("data", COMPOSER.options("data"))
def test_every_data_set_composes(data):
    task = "classification" if "languages" in data else "translation"
    assert composer().resolve([f"task={task}", f"data={data}"])["data"]["name"] == data


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_computes_its_golden_numbers(variant):
    kept = golden.read(variant)
    now = golden.numbers(variant, [])
    assert list(now) == list(kept), f"other modes than the golden numbers have: python scripts/golden.py {variant}"
    for task, found in now.items():
        assert found["parameters"] == kept[task]["parameters"]
        assert found["loss"] == pytest.approx(kept[task]["loss"], rel=1e-6)
        assert found["gradient_norm"] == pytest.approx(kept[task]["gradient_norm"], rel=1e-6, abs=1e-12)
