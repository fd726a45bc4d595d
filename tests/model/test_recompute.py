"""Activation checkpointing changes what is kept for the backward, and no number."""

from itertools import islice

import pytest
import torch

from normexp.config.compose import Composer
from normexp.errors import ConfigError
from normexp.sweep.preflight import check_buildable
from normexp.training.evaluate import cross_entropy, logits
from tests.support import golden
from tests.support.configs import with_values
from tests.support.steps import take_step

COMPOSER = Composer("train")


def after_two_steps(config):
    """Losses, gradients and buffers."""
    with golden.precision(torch.float32):
        trainer = golden.trainer_of(config)
        losses = [take_step(trainer, batch)[0] for batch in islice(trainer.data(), 2)]
    gradients = {name: p.grad for name, p in trainer.model.named_parameters() if p.grad is not None}
    return losses, gradients, dict(trainer.model.named_buffers())


def recomputing(config):
    training = {**golden.TRAINING, "activation_checkpointing": True}
    return with_values(config, training=training, model={**golden.MODEL, "dropout": 0.1})


def same(config):
    config = with_values(config, model={**golden.MODEL, "dropout": 0.1})
    for plain, again in zip(after_two_steps(config), after_two_steps(recomputing(config)), strict=True):
        torch.testing.assert_close(plain, again, rtol=0, atol=0)


@pytest.mark.slow
@pytest.mark.parametrize("variant", COMPOSER.options("variant"))
def test_the_numbers_of_every_variant_stay(variant):
    """With dropout, with padding and cross-attention, and with an update between the two steps."""
    config = golden.tiny_run(variant, "translation")
    made_of = config.variant.cls.made_of(("encoder", "decoder"), **config.variant.options)
    if all(each.separate_layers for each in made_of):
        same(config)
    else:
        with pytest.raises(ConfigError, match=f"variant={variant}: its layers share more than the stream"):
            check_buildable(recomputing(config), ())


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["batch_norm", "power_norm"])
def test_running_statistics_are_updated_once(norm):
    same(golden.tiny_run("post_ln", "classification", f"norm={norm}"))


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["batch_norm", "power_norm"])
def test_so_are_those_of_norms_that_are_no_sites(norm):
    same(golden.tiny_run("dlcl_pre", "classification", f"norm={norm}"))


def kept(config, depth):
    """Bytes that the forward keeps for the backward, parameters not counted."""
    config = with_values(config, model={**golden.MODEL, "encoder_depth": depth, "decoder_depth": 1})
    trainer = golden.trainer_of(config)
    parameters = {p.data_ptr() for p in trainer.model.parameters()}
    sizes = {}

    def keep(tensor):
        sizes[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = trainer._logits(trainer.model, next(trainer.data())).sum()
    del loss
    return sum(size for at, size in sizes.items() if at not in parameters)


def test_a_layer_keeps_its_input_alone():
    """Of what a layer adds to the memory, a tenth at most is left."""
    config = golden.tiny_run("pre_ln", "translation")
    plain, again = ([kept(c, depth) for depth in (4, 12)] for c in (config, recomputing(config)))
    assert again[1] - again[0] <= 0.1 * (plain[1] - plain[0])


def test_a_trace_is_complete():
    """Probes read activations, so their forward keeps them."""
    trainer = golden.trainer_of(recomputing(golden.tiny_run("pre_ln", "translation")))
    batch = next(trainer.data())
    trainer.backward(batch)
    context = trainer.probe_context(batch)
    assert len(list(context.branches())) == len(context.sites)


def test_a_second_backward_through_one_forward_is_the_first():
    """As the Hessian of probe=sharpness takes many. Its forwards move the vectors of σReparam."""
    trainer = golden.trainer_of(recomputing(golden.tiny_run("post_ln", "classification", "addon=[sigma_reparam]")))
    batch = next(trainer.data())
    take_step(trainer, batch)
    loss = cross_entropy(logits(trainer.forward, batch), batch.labels)
    parameters = list(trainer.model.parameters())
    first, second = (torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True) for _ in range(2))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
