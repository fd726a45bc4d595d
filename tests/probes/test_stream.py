"""The stream's norm by hand, for a variant whose stream is normed, one whose stream grows, and one with two streams."""

import pytest
import torch
from tiny import tiny_config

from normexp.probes.stream import StreamNorm
from normexp.run import corpus_of
from normexp.training.trainer import Trainer


@pytest.mark.parametrize("variant", ["post_ln", "pre_ln", "resi_dual"])
def test_norms_are_those_of_a_forward_by_hand(variant):
    config = tiny_config(f"variant={variant}", "depth=2")
    trainer = Trainer(config, corpus_of(config))
    batch = next(trainer.data())
    rows = (
        StreamNorm().measure(trainer.moment(batch)).frame(1).set_index(["stack", "layer", "site", "statistic"])["value"]
    )
    assert len(rows) == 2 * (2 * 2 + 2 * 3)

    seen = {}
    for site in trainer.model.encoder.sites:  # what the sub-layer gives, caught without the trace
        site.sublayer.register_forward_hook(lambda _, args, out, name=site.name: seen.update({name: out.detach()}))
    trainer.model.encode(batch.source, batch.source_mask)
    real = torch.ones_like(batch.source, dtype=torch.bool) if batch.source_mask is None else batch.source_mask
    for site in trainer.model.encoder.sites:
        kind = site.name.rpartition(".")[2]
        expected = seen[site.name][real].square().sum(-1).mean() / 16
        assert rows["encoder", site.layer, kind, "branch_norm"] == pytest.approx(float(expected), rel=1e-5)
    last = rows["encoder", 2, "feed_forward", "stream_norm"]
    if variant == "pre_ln":
        assert last > rows["encoder", 1, "attention", "stream_norm"]
    else:  # a LayerNorm with gain 1 has just been there
        assert last == pytest.approx(1, rel=1e-3)
