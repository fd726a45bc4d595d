"""Layers left out, exchanged and cut off, by lists of layers and by weights of 0 in copies of the model."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from normexp.config.compose import Composer
from normexp.probes.ablations import FirstLayers, SkipLayer, SwapLayers
from normexp.probes.angular_distance import AngularDistance
from normexp.probes.interventions import exchanged, skipped
from normexp.probes.relative_contribution import RelativeContribution
from tests.support import golden
from tests.support.probes import measured, padded, rows_of, trainer_of

TASKS = Composer("train").options("task")
VARIANTS = Composer("train").options("variant")


def context_of(variant, task="translation", *more):
    """In float64, with every weight off its start, so that no branch and no gate is 0 or 1."""
    trainer = golden.trainer_of(golden.tiny_run(variant, task, *more))
    trainer.model.double()
    torch.manual_seed(0)
    for parameter in trainer.model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return trainer.probe_context(next(trainer.data()))


def run(model, batch):
    """Scores, and streams before the first and after every layer, by stack; at real tokens, as numpy arrays."""
    trace = {}
    with torch.no_grad():
        scores = model(batch.source, batch.source_mask, batch.target, trace, target_mask=batch.target_mask)
    streams = {}
    for stack in model.stacks:
        name = stack.shape.stack
        mask = batch.source_mask if name == "encoder" else batch.target_mask
        ends = [name, *(layer[-1].name for layer in stack.sites_by_layer)]
        found = [trace[f"{end}/stream"] for end in ends]
        streams[name] = [(x.flatten(0, 1) if mask is None else x[mask]).numpy() for x in found]
    return scores, streams


def loss_of(scores, labels):
    flat = scores.flatten(0, 1) if scores.ndim == 3 else scores
    return F.cross_entropy(flat, labels.flatten(), ignore_index=-100).item()


def without(model, stack, layer):
    """A copy whose stack does not have the layer."""
    changed = copy.deepcopy(model)
    getattr(changed, stack).sites_by_layer.pop(layer - 1)
    return changed


def silent(model, stack, layer):
    """A copy in which the layer's branches are 0."""
    changed = copy.deepcopy(model)
    for site in getattr(changed, stack).sites_by_layer[layer - 1]:
        last = getattr(site.sublayer, "out", None) or site.sublayer.fc2
        last.weight.data.zero_(), last.bias.data.zero_()
    return changed


# -- skip_layer -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    "variant", ["pre_ln", "post_ln", "no_residual", "hyper_connections", "x0_lambdas", "siamese_norm"]
)
def test_a_skipped_layer_is_one_that_is_not_there(variant, task):
    context = context_of(variant, task)
    rows = rows_of(SkipLayer(), context)
    scores, usual = run(context.model, context.batch)
    for stack in usual:
        depth = len(usual[stack]) - 1
        for layer in range(1, depth + 1):
            other, streams = run(without(context.model, stack, layer), context.batch)
            streams[stack].insert(layer, streams[stack][layer - 1])
            rise = loss_of(other, context.batch.labels) - loss_of(scores, context.batch.labels)
            assert rows[stack, layer, "", "", "skip_rise"] == pytest.approx(rise, rel=1e-9, abs=1e-12)
            own = []
            for where in usual if stack == "encoder" else [stack]:
                for later in range(layer + 1 if where == stack else 1, len(usual[where])):
                    was, now = (x[where][later] - x[where][later - 1] for x in (usual, streams))
                    effect = np.linalg.norm(now - was, axis=-1).mean() / np.linalg.norm(was, axis=-1).mean()
                    slip = np.linalg.norm(now - was, axis=-1).mean() / np.linalg.norm(now, axis=-1).mean()
                    found = rows[where, later, "", f"{stack}.{layer:02d}", "skip_map"]
                    assert found == pytest.approx(effect, rel=1e-9)
                    assert found != pytest.approx(slip, rel=1e-6)
                    own += [effect] if where == stack else []
            if own:
                assert rows[stack, layer, "", "", "skip_effect"] == pytest.approx(np.mean(own), rel=1e-9)
    depths = [len(streams) - 1 for streams in usual.values()]
    pairs = sum(d * (d - 1) // 2 for d in depths) + (depths[0] * depths[1] if len(depths) == 2 else 0)
    assert len(rows) == sum(2 * d - 1 for d in depths) + pairs
    assert len(rows_of(SkipLayer(map=False), context)) == sum(2 * d - 1 for d in depths)


@pytest.mark.parametrize(
    "variant",
    ["dense_former", "dlcl_pre", "dlcl_post", "attention_residuals", "block_attention_residuals", "value_residual"],
)
def test_where_later_layers_count_on_it_its_branches_are_silent(variant):
    """In value_residual only the stream goes past the first layer: its values are still those of the others."""
    context = context_of(variant)
    rows = rows_of(SkipLayer(), context)
    usual = loss_of(run(context.model, context.batch)[0], context.batch.labels)
    for stack in context.model.stacks:
        for layer in range(1, stack.shape.depth + 1):
            scores, _ = run(silent(context.model, stack.shape.stack, layer), context.batch)
            rise = loss_of(scores, context.batch.labels) - usual
            assert rows[stack.shape.stack, layer, "", "", "skip_rise"] == pytest.approx(rise, rel=1e-9, abs=1e-12)


@pytest.mark.slow
def test_a_source_of_0_is_as_good_as_none():
    """It takes a share of the softmax from all others alike, and the norm that reads the mix removes a factor."""
    context = context_of("attention_residuals", "translation", "norm.eps=1e-14")
    rows = rows_of(SkipLayer(), context)
    usual = loss_of(run(context.model, context.batch)[0], context.batch.labels)
    for stack, layer in (("encoder", 2), ("encoder", 3), ("decoder", 2)):
        rise = loss_of(run(without(context.model, stack, layer), context.batch)[0], context.batch.labels) - usual
        assert rows[stack, layer, "", "", "skip_rise"] == pytest.approx(rise, rel=1e-6)


def test_leaving_out_a_layer_that_does_nothing_changes_nothing():
    """Bit for bit, with dropout: later layers have the masks that they would have had."""
    trainer = trainer_of("variant=pre_ln", "model.dropout=0.1", "model.attention_dropout=0.1")
    trainer.model = silent(trainer.model, "encoder", 1)
    rows = rows_of(SkipLayer(), trainer.probe_context(padded(trainer)))
    assert rows["encoder", 1, "", "", "skip_rise"] == 0
    assert rows["encoder", 2, "", "", "skip_rise"] != 0
    assert rows.xs("encoder.01", level="parameter").tolist() == [0] * 3


# -- swap_layers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("variant", ["pre_ln", "post_ln", "hyper_connections", "no_residual"])
def test_swapped_layers_run_in_the_other_order(variant, task):
    context = context_of(variant, task)
    rows = measured(SwapLayers(), context)
    usual = loss_of(run(context.model, context.batch)[0], context.batch.labels)
    assert len(rows) == sum(stack.shape.depth - 1 for stack in context.model.stacks)
    for stack in context.model.stacks:
        for layer in range(1, stack.shape.depth):
            changed = copy.deepcopy(context.model)
            order = getattr(changed, stack.shape.stack).sites_by_layer
            order[layer - 1 : layer + 1] = reversed(order[layer - 1 : layer + 1])
            rise = loss_of(run(changed, context.batch)[0], context.batch.labels) - usual
            assert rows[stack.shape.stack, layer, "", "swap_rise"] == pytest.approx(rise, rel=1e-9, abs=1e-12)
            assert rise != 0


def test_what_belongs_to_the_place_stays_there():
    """The factor 1/√l of layer_norm_scaling: the weights move and it does not."""
    context = context_of("layer_norm_scaling", "language_modelling")
    found = measured(SwapLayers(), context)["decoder", 1, "", "swap_rise"]
    usual = loss_of(run(context.model, context.batch)[0], context.batch.labels)
    changed = copy.deepcopy(context.model)
    first, second = changed.decoder.sites_by_layer[:2]
    changed.decoder.sites_by_layer[:2] = second, first
    moved = loss_of(run(changed, context.batch)[0], context.batch.labels) - usual
    for site in first + second:
        site.layer = 3 - site.layer
    assert found == pytest.approx(loss_of(run(changed, context.batch)[0], context.batch.labels) - usual, rel=1e-9)
    assert found != pytest.approx(moved, rel=1e-6)


# -- first_layers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    "variant", ["pre_ln", "post_ln", "resi_dual", "dense_former", "mhc", "block_attention_residuals"]
)
def test_a_cut_stack_has_only_its_first_layers(variant, task):
    context = context_of(variant, task)
    rows = measured(FirstLayers(), context)
    labels = context.batch.labels
    scores, _ = run(context.model, context.batch)
    whole = F.log_softmax(scores[labels != -100], dim=-1).numpy()
    assert len(rows) == 3 * sum(stack.shape.depth for stack in context.model.stacks)
    for stack in context.model.stacks:
        for layer in range(stack.shape.depth):
            changed = copy.deepcopy(context.model)
            del getattr(changed, stack.shape.stack).sites_by_layer[layer:]
            cut, _ = run(changed, context.batch)
            here = F.log_softmax(cut[labels != -100], dim=-1).numpy()
            kl = (np.exp(whole) * (whole - here)).sum(axis=-1).mean()
            found = {what: rows[stack.shape.stack, layer, "", what] for what in FirstLayers.statistics}
            assert found["cut_rise"] == pytest.approx(loss_of(cut, labels) - loss_of(scores, labels), rel=1e-9)
            assert found["cut_kl"] == pytest.approx(kl, rel=1e-9)
            assert found["cut_kl"] != pytest.approx((np.exp(here) * (here - whole)).sum(axis=-1).mean(), rel=1e-6)
            assert found["cut_agreement"] == np.mean(here.argmax(axis=-1) == whole.argmax(axis=-1))


# -- all of them ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_has_a_finite_value_everywhere(variant):
    """Of these probes and of the others that say how depth is used."""
    context = context_of(variant)
    for probe in (SkipLayer(), SwapLayers(), FirstLayers(), AngularDistance(), RelativeContribution()):
        rows = rows_of(probe, context)
        assert len(rows)
        assert np.isfinite(rows.to_numpy()).all(), rows[~np.isfinite(rows)]


@pytest.mark.parametrize("task", TASKS)
def test_a_weight_that_several_sites_share_is_exchanged_once(task):
    """ReZero has one scalar per layer, which is at all of its sites."""
    model = context_of("re_zero", task).model
    stack = model.stacks[-1]
    scalars = [[site.alpha for site in sites] for sites in stack.sites_by_layer]
    for layer, its in enumerate(scalars, start=1):
        its[0].data.fill_(layer)
    with exchanged(stack, 1, 2):
        assert [its[0].item() for its in scalars[:2]] == [2, 1]
    assert [its[0].item() for its in scalars[:2]] == [1, 2]


@pytest.mark.parametrize("variant", ["dlcl_pre", "dlcl_post", "dense_former", "attention_residuals"])
def test_the_stream_after_silent_branches_is_that_of_the_layer(variant):
    context = context_of(variant)
    for stack in context.model.stacks:
        name = stack.shape.stack
        _, expected = run(silent(context.model, name, 1), context.batch)
        with skipped(stack, {1}):
            _, streams = run(context.model, context.batch)
        np.testing.assert_allclose(streams[name][1], expected[name][1], rtol=1e-9)
