"""Sizes of branches and of changes of the stream, from inputs and outputs of modules that hooks caught."""

import numpy as np
import pytest

from normexp.config.compose import Composer
from normexp.probes.relative_contribution import RelativeContribution
from tests.support import golden
from tests.support.probes import measured, padded, real_rows, streams_by_hand, trainer_of

TASKS = Composer("train").options("task")


def tokens(x, rows):
    return np.concatenate([text[row].numpy() for text, row in zip(x, rows, strict=True)])


def ratio(a, b):
    return (np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)).mean()


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("variant", ["post_ln", "pre_ln", "no_residual"])
def test_numbers_are_those_of_the_streams(variant, task):
    trainer = trainer_of(f"variant={variant}", f"task={task}")
    model = trainer.model.double()
    batch = padded(trainer)
    rows = measured(RelativeContribution(), trainer.probe_context(batch))
    branches = {}
    for stack in model.stacks:
        for site in stack.sites:
            site.sublayer.register_forward_hook(
                lambda _, __, out, name=site.name: branches.update({name: out.detach()})
            )
    streams = streams_by_hand(model, batch, variant)
    for stack in model.stacks:
        name = stack.shape.stack
        real, before = real_rows(batch, name), streams[name, 0, ""]
        start = before
        for site in stack.sites:
            kind = site.name.rpartition(".")[2]
            branch, x = (tokens(each, real) for each in (branches[site.name], before))
            found = rows[name, site.layer, kind, "relative_contribution"]
            assert found == pytest.approx(ratio(branch, x), rel=1e-7)
            assert found != pytest.approx(np.linalg.norm(branch) / np.linalg.norm(x), rel=1e-6)  # not a mean of ratios
            before = streams[name, site.layer, kind]
            if site is stack.sites_by_layer[site.layer - 1][-1]:
                x, change = tokens(start, real), tokens(before, real) - tokens(start, real)
                cosine = (change * x).sum(-1) / np.linalg.norm(change, axis=-1) / np.linalg.norm(x, axis=-1)
                assert rows[name, site.layer, "", "layer_change"] == pytest.approx(ratio(change, x), rel=1e-7)
                assert rows[name, site.layer, "", "layer_cosine"] == pytest.approx(cosine.mean(), rel=1e-7)
                start = before
    assert len(rows) == sum(len(stack.sites) + 2 * stack.shape.depth for stack in model.stacks)


def test_a_branch_that_halves_the_stream():
    """F(x) = −x/2: half as large as x, and opposite."""
    trainer = golden.trainer_of(golden.tiny_run("no_norm", "classification"))
    for site in trainer.model.encoder.sites:
        site.sublayer.forward = lambda x, *_: -x / 2
    rows = measured(RelativeContribution(), trainer.probe_context(next(trainer.data())))
    assert rows.xs("relative_contribution", level="statistic").tolist() == pytest.approx([0.5] * 6)
    assert rows.xs("layer_change", level="statistic").tolist() == pytest.approx([0.75] * 3)
    assert rows.xs("layer_cosine", level="statistic").tolist() == pytest.approx([-1] * 3)
