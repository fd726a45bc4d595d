"""Cosines of branches and streams, from inputs and outputs of modules, caught by hooks."""

import itertools

import numpy as np
import pytest

from normexp.probes.alignment import Alignment
from tests.support import golden


def measured(context, statistic="branch_cosine"):
    frame = Alignment().measure(context).frame(1)
    assert set(frame["statistic"]) == {"branch_cosine", "input_cosine"}
    return frame[frame["statistic"] == statistic].set_index(["stack", "layer", "site"])["value"]


def mean_cosine(a, b, mask):
    a, b = (x.detach()[mask].numpy().astype(float) for x in (a, b))
    return np.mean((a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1))


@pytest.mark.parametrize("variant", ["post_ln", "pre_ln", "resi_dual", "keel"])
def test_the_cosine_is_that_of_what_the_modules_read_and_gave(variant):
    """At every site, one module reads the stream: the norm before the branch, or the branch itself."""
    trainer = golden.trainer_of(golden.tiny_run(variant, "translation"))
    batch = next(batch for batch in trainer.data() if batch.source_mask is not None)
    rows = measured(trainer.probe_context(batch))
    before, branch = {}, {}
    for site in trainer.model.encoder.sites:
        reader = {"pre_ln": "norm", "keel": "norm_in"}.get(variant, "sublayer")
        getattr(site, reader).register_forward_pre_hook(lambda _, args, n=site.name: before.update({n: args[0]}))
        site.sublayer.register_forward_hook(lambda _, __, out, n=site.name: branch.update({n: out}))
    trainer.model.encode(batch.source, batch.source_mask)
    assert len(rows) == 3 * 2 + 2 * 3
    for site in trainer.model.encoder.sites:
        expected = mean_cosine(branch[site.name], before[site.name], batch.source_mask)
        found = rows["encoder", site.layer, site.name.rpartition(".")[2]]
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize(("factor", "cosine"), [(2.0, 1), (-0.5, -1), (0.0, 0)])
def test_a_branch_along_the_stream_against_it_and_none(factor, cosine):
    trainer = golden.trainer_of(golden.tiny_run("post_ln", "classification"))
    for site in trainer.model.encoder.sites:
        site.sublayer.forward = lambda x, *_: factor * x
    rows = measured(trainer.probe_context(next(trainer.data())))
    assert rows.to_numpy() == pytest.approx(cosine, abs=1e-6)


@pytest.mark.parametrize("variant", ["post_ln", "pre_ln", "hyper_connections"])
def test_inputs_are_those_that_the_modules_read(variant):
    trainer = golden.trainer_of(golden.tiny_run(variant, "translation"))
    batch = next(batch for batch in trainer.data() if batch.source_mask is not None)
    rows = measured(trainer.probe_context(batch), "input_cosine")
    read = []
    for site in trainer.model.encoder.sites:
        site.sublayer.register_forward_pre_hook(lambda _, args: read.append(args[0]))
    trainer.model.encode(batch.source, batch.source_mask)
    assert len(rows) == (3 * 2 - 1) + (2 * 3 - 1)
    expected = [mean_cosine(a, b, batch.source_mask) for a, b in itertools.pairwise(read)]
    assert rows["encoder"].to_numpy() == pytest.approx(expected, rel=1e-4, abs=1e-6)
