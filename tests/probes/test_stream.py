"""Sizes of streams, branches, sums and hidden vectors by hand, for a variant whose stream is normed, one whose stream
grows, one with two streams, and some that open the stream or go around a layer.
"""

import pytest
import torch
import torch.nn.functional as F

from normexp.data.corpus import load_corpus
from normexp.probes.stream import StreamNorm
from normexp.training.trainer import Trainer
from normexp.variants.pre_ln import PreLN
from tests.support import golden
from tests.support.configs import with_values
from tests.support.runs import tiny_config


def layer_norm(x):
    return F.layer_norm(x, x.shape[-1:])


# Stream before a site, what its branch gives, stream where the layer starts → stream after it.
JOINS = {
    "post_ln": lambda x, f, start, last: layer_norm(x + f),
    "pre_ln": lambda x, f, start, last: x + f,
    "peri_ln": lambda x, f, start, last: x + layer_norm(f),
    "resi_dual": lambda x, f, start, last: layer_norm(x + f),
    "b2t": lambda x, f, start, last: layer_norm(x + f + start if last else x + f),
    "deep_norm": lambda x, f, start, last: layer_norm(0.81 * (3**4 * 2) ** (1 / 16) * x + f),
}


def measured(context):
    frame = StreamNorm().measure(context).frame(1)
    return frame.set_index(["stack", "layer", "site", "statistic"])["value"].sort_index()


@pytest.mark.parametrize(
    ("variant", "task"), [*((variant, "translation") for variant in JOINS), ("post_ln", "classification")]
)
def test_sizes_are_those_of_a_forward_by_hand(variant, task):
    trainer = golden.trainer_of(golden.tiny_run(variant, task))
    batch = next(batch for batch in trainer.data() if batch.source_mask is not None)
    rows = measured(trainer.probe_context(batch))
    encoder = trainer.model.encoder

    seen = {}  # what sub-layers give, caught without the trace
    for site in encoder.sites:
        site.sublayer.register_forward_hook(lambda _, args, out, name=site.name: seen.update({name: out}))
        if site.kind == "feed_forward":
            site.sublayer.fc2.register_forward_pre_hook(lambda _, args, n=site.name: seen.update({f"{n}/h": args[0]}))
    with torch.no_grad():
        x = trainer.model.embedding(batch.source)
        encoder(x, batch.source_mask)

    def size(x):
        return float(x[batch.source_mask].square().mean())

    x = start = layer_norm(x) if variant == "peri_ln" else x
    assert rows["encoder", 0, "", "stream_norm"] == pytest.approx(size(x), rel=1e-5)
    for site in encoder.sites:
        kind, f = site.name.rpartition(".")[2], seen[site.name]
        start = x if kind == "attention" else start
        after = JOINS[variant](x, f, start, kind == "feed_forward")
        expected = {
            "stream_norm": size(after),
            "branch_norm": size(f),
            "sum_norm": size(x + f),
            "stream_growth": size(after) / size(x),
        }
        if kind == "feed_forward":
            expected["hidden_norm"] = size(seen[f"{site.name}/h"])
        found = rows["encoder", site.layer, kind]
        assert set(found.index) == set(expected)
        for what, value in expected.items():
            assert found[what] == pytest.approx(value, rel=1e-4), what
        x = after


class Unrecorded(PreLN):
    """Parallel branches as a user would write them: nothing says where the stream is."""

    def layer(self, stream, sites):
        return sum((site.branch(site.norm(stream)) for site in sites), start=stream)


def test_a_layer_without_captures_has_rows_at_its_end():
    """The stack records the stream there; between the sites of such a layer nothing is called the stream."""
    variant = {"name": "unrecorded", "_target_": f"{__name__}.{Unrecorded.__name__}"}
    config = with_values(tiny_config("depth=2"), variant=variant)
    trainer = Trainer(config, load_corpus(config.data))
    rows = measured(trainer.probe_context(next(trainer.data())))
    first = {"branch_norm", "sum_norm"}  # it reads what the layer below left
    for layer in (1, 2):
        assert set(rows["encoder", layer, "attention"].index) == first
        assert set(rows["encoder", layer, "feed_forward"].index) == {"branch_norm", "hidden_norm", "stream_norm"}
        assert set(rows["decoder", layer, "cross_attention"].index) == {"branch_norm"}
        assert rows["decoder", layer, "feed_forward", "stream_norm"] > 0
