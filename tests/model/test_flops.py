"""What a step costs: by hand, against a step with numbers, for every variant."""

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from normexp.config.compose import Composer
from normexp.data.corpus import load_corpus
from normexp.model.flops import cost
from normexp.records.folder import RunFolder
from normexp.sweep.worker import execute
from normexp.training.evaluate import cross_entropy, logits
from tests.support import golden
from tests.support.configs import with_values
from tests.support.runs import tiny_config

VARIANTS = sorted(Composer("train").options("variant"))


def test_the_flops_of_a_language_model_by_hand():
    """Six for every weight and token, and the two products of attention, which grow with the text."""
    config = golden.tiny_run("pre_ln", "language_modelling")
    corpus = golden.corpus("language_modelling")
    trainer = golden.trainer_of(config)
    batch = trainer.batches.epoch(None)[len(trainer.batches) // 2]
    size, words, tokens = config.model, len(corpus.vocabulary), batch.labels.shape[1]
    layer = 4 * size.width**2 + 2 * size.width * size.feed_forward + 2 * size.width * tokens
    by_target = 6 * (size.decoder_depth * layer + size.width * words)
    shares = batch.labels.numel() / batch.size
    assert cost(config, corpus).flops_per_token == pytest.approx(by_target * shares)


@pytest.mark.parametrize("task", ["translation", "language_modelling", "classification"])
def test_tokens_per_step_is_the_mean_over_an_epoch(task):
    config, corpus = golden.tiny_run("pre_ln", task), golden.corpus(task)
    batches = golden.trainer_of(config).batches
    sizes = [batch.size for batch in batches.epoch(None)]
    assert cost(config, corpus).tokens_per_step == pytest.approx(sum(sizes) / len(sizes))
    assert max(sizes) <= config.training.batch_tokens


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_costs_what_a_step_with_numbers_costs(variant):
    config, corpus = golden.tiny_run(variant, "translation"), golden.corpus("translation")
    trainer = golden.trainer_of(with_values(config, training={"device": "cpu"}))
    batch = trainer.batches.epoch(None)[len(trainer.batches) // 2]
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:  # fused attention is not counted
        cross_entropy(logits(trainer.model, batch), batch.labels).backward()
    assert cost(config, corpus).flops_per_token == pytest.approx(counter.get_total_flops() / batch.size, rel=0.05)


def test_an_add_on_that_looks_at_numbers_is_counted_without_them():
    config = golden.tiny_run("post_ln", "translation", "addon=[sigma_reparam]")
    assert cost(config, golden.corpus("translation")).flops_per_token > 0


@pytest.mark.slow
def test_a_run_records_what_its_steps_cost(tmp_path):
    config = tiny_config("steps=4", "probe=[]", f"results={tmp_path}")
    folder = RunFolder(tmp_path / "run")
    folder.create(config)
    execute(folder.path)
    expected = cost(config, load_corpus(config.data))
    assert {name: folder.status[name] for name in expected._fields} == pytest.approx(expected._asdict())


def test_nothing_is_drawn_or_computed():
    """So a run is the same to the bit, counted or not."""
    torch.manual_seed(0)
    before = torch.get_rng_state()
    cost(golden.tiny_run("pre_ln", "translation"), golden.corpus("translation"))
    assert torch.equal(torch.get_rng_state(), before)
