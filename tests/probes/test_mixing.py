"""Mixing matrices with a known product, and those that a variant makes, caught where it makes them."""

import numpy as np
import pytest
import torch

from normexp.probes.mixing import Mixing, change, gains, spread
from tests.support.probes import measured, padded, real_rows, trainer_of

MANY = ["hyper_connections", "static_hyper_connections", "mhc", "mhc_lite", "identity_hyper_connections"]


def rows_under(variant, noise=0.0):
    trainer = trainer_of(f"variant={variant}")
    generator = torch.Generator().manual_seed(0)
    for name, parameter in trainer.model.named_parameters():
        if "mix" in name or "write" in name:
            parameter.data += noise * torch.randn(parameter.shape, generator=generator)
    batch = padded(trainer)
    return trainer, batch, measured(Mixing(), trainer.probe_context(batch))


@pytest.mark.parametrize("variant", MANY)
def test_at_the_start_nearly_nothing_is_mixed(variant):
    _, _, rows = rows_under(variant)
    assert len(rows) == 4 * (2 * 2 + 2 * 3)
    by_statistic = {name: part.to_numpy() for name, part in rows.groupby("statistic")}
    assert by_statistic["mixing_change"] == pytest.approx(0, abs=0.02)
    assert by_statistic["forward_gain"] == pytest.approx(1, abs=1e-3)
    assert by_statistic["backward_gain"] == pytest.approx(1, abs=1e-3)
    assert (by_statistic["stream_spread"] >= 0).all()


@pytest.mark.parametrize("variant", ["hyper_connections", "mhc"])
def test_the_product_is_that_of_the_matrices_that_the_variant_makes(variant, monkeypatch):
    """For each token by itself, in numpy; real tokens alone count."""
    trainer, batch, rows = rows_under(variant, noise=0.3)
    made = []
    kind = type(trainer.model.encoder.variant)
    weights = kind.weights

    def kept(self, h, site):
        made.append(weights(self, h, site)[1].detach())
        return weights(self, h, site)

    monkeypatch.setattr(kind, "weights", kept)
    trainer.model.encode(batch.source, batch.source_mask)
    product = np.eye(4)
    for site, mix in zip(trainer.model.encoder.sites, made, strict=True):
        parts = [mix[n, part] for n, part in enumerate(real_rows(batch, "encoder"))]
        matrices = torch.cat(parts).numpy().astype(float).swapaxes(-1, -2)
        product = matrices @ product
        place = ("encoder", site.layer, site.name.rpartition(".")[2])
        distance = np.sqrt(np.square(matrices - np.eye(4)).sum((-1, -2)) / 4)
        assert rows[*place, "mixing_change"] == pytest.approx(distance.mean(), rel=1e-4)
        assert rows[*place, "forward_gain"] == pytest.approx(np.abs(product.sum(-1)).max(-1).mean(), rel=1e-4)
        assert rows[*place, "backward_gain"] == pytest.approx(np.abs(product.sum(-2)).max(-1).mean(), rel=1e-4)
    assert (variant == "mhc") == (rows.xs("forward_gain", level="statistic").max() < 1.001)


def test_a_variant_with_one_stream_has_nothing_to_mix():
    _, _, rows = rows_under("pre_ln")
    assert len(rows) == 4 * (2 * 2 + 2 * 3)
    assert rows.isna().all()


def test_known_matrices():
    swap, double = torch.tensor([[[0.0, 1.0], [1.0, 0.0]]]), torch.tensor([[[2.0, -3.0], [0.0, 1.0]]])
    assert change(torch.eye(2)[None]).item() == 0
    assert change(torch.full((1, 4, 4), 0.25)).item() == pytest.approx(np.sqrt(3 / 4))
    assert [gain.item() for gain in gains(swap)] == [1, 1]
    assert [gain.item() for gain in gains(double)] == [1, 2]


def test_known_spreads():
    alike, apart = torch.tensor([[[1.0, 2.0]] * 2]), torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    assert [spread(streams).item() for streams in (alike, apart)] == pytest.approx([0, 0.5])
