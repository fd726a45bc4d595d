"""Shares of variance by hand: every part of the stream computed and divided by the deviation that the norm uses."""

import numpy as np
import pytest
import torch

from normexp.probes.dependency import Dependency
from tests.support import golden

SITE = ["stack", "layer", "site"]


def context_of(variant, task="translation", step=1):
    trainer = golden.trainer_of(golden.tiny_run(variant, task))
    trainer.done = step - 1
    return trainer.probe_context(next(batch for batch in trainer.data() if batch.source_mask is not None))


def measured(context, **options):
    """Shares of a site's branch, by site, and the map, by site and part."""
    frame = Dependency(**options).measure(context).frame(1)
    own, table = (frame[frame["statistic"] == what] for what in ("dependency", "dependency_map"))
    assert len(own) + len(table) + (frame["statistic"] == "dependency_sum").sum() == len(frame)
    return own.set_index(SITE)["value"], table.set_index([*SITE, "parameter"])["value"]


def normed(part, total):
    """A summand of LayerNorm's input after centring and division by the deviation of the total."""
    deviation = np.sqrt(total.var(-1, keepdims=True) + 1e-5)
    return (part - part.mean(-1, keepdims=True)) / deviation


def post(skip, branch=1.0):
    """LN(skip · x + branch · f), part by part."""

    def join(parts, f, name, site):
        weight = skip(site) if callable(skip) else skip
        read = {part: weight * x for part, x in parts.items()} | {name: branch * f}
        return {part: normed(x, sum(read.values())) for part, x in read.items()}

    return join


HAND = {
    "pre_ln": lambda parts, f, name, site: parts | {name: f},
    "post_ln": post(1.0),
    "resi_dual": post(1.0),
    "deep_norm": post(0.81 * (3**4 * 2) ** (1 / 16)),
    "admin": post(lambda site: site.omega.detach().numpy()),
    "branch_norm": post(1.0, 10 / 40),
}


@pytest.mark.parametrize("variant", HAND)
def test_shares_are_those_of_parts_written_down_by_hand(variant):
    context = context_of(variant, step=10)
    own, table = measured(context)
    model, batch = context.model, context.batch
    given = {}
    for site in model.encoder.sites:
        site.sublayer.register_forward_hook(lambda _, __, out, name=site.name: given.update({name: out}))
    context.scores()
    with torch.no_grad():
        parts = {"embedding": model.embedding(batch.source).numpy()}
    real = batch.source_mask.numpy()
    for site in model.encoder.sites:
        parts = HAND[variant](parts, given[site.name].detach().numpy(), site.name, site)
        variance = {name: part[real].var(-1).mean() for name, part in parts.items()}
        total = sum(parts.values())[real].var(-1).mean()
        place = ("encoder", site.layer, site.name.rpartition(".")[2])
        assert own[place] == pytest.approx(variance[site.name] / total, rel=1e-4)
        row = table[table.index.droplevel("parameter") == place].droplevel(SITE)
        assert set(row.index) == set(parts)
        for name in parts:
            assert row[name] == pytest.approx((variance[name] / total) ** 0.5, rel=1e-4), name


@pytest.mark.parametrize("with_map", [True, False])
def test_the_sum_is_that_of_a_squared_row_of_the_map(with_map):
    context = context_of("post_ln")
    _, table = measured(context)
    frame = Dependency(map=with_map).measure(context).frame(1)
    sums = frame[frame["statistic"] == "dependency_sum"].set_index(SITE)["value"]
    expected = table.pow(2).groupby(SITE).sum()
    assert len(sums) == len(expected) == 3 * 2 + 2 * 3
    assert sums.to_dict() == pytest.approx(expected.to_dict(), rel=1e-6)


@pytest.mark.parametrize("task", ["translation", "classification"])
def test_without_residuals_the_own_branch_is_everything(task):
    own, table = measured(context_of("no_residual", task))
    assert own.to_numpy() == pytest.approx(1, rel=1e-4)
    for (stack, layer, site, part), share in table.items():
        assert share == pytest.approx(float(part == f"{stack}.{layer:02d}.{site}"), rel=1e-4)


def test_without_the_map_there_are_only_branch_shares():
    context = context_of("b2t")
    own, _ = measured(context)
    alone, table = measured(context, map=False)
    assert table.empty
    assert alone.equals(own)
    assert len(own) == 3 * 2 + 2 * 3


def test_a_stack_that_is_no_sum_of_parts_has_no_reading():
    context = context_of("pre_ln")
    variant = context.model.decoder.variant
    variant.join = lambda x, site: torch.tanh(x + site.branch(site.norm(x)))
    own, table = measured(context)
    assert own["decoder"].isna().all()
    assert table["decoder"].isna().all()
    assert own["encoder"].notna().all()
