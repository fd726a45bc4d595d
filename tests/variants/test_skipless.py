"""Skipless blocks: where attention starts, what it does without, how the feed-forward's factor depends on depth."""

import math

import pytest
import torch

from normexp.variants.mv_split import TokenMean
from tests.support.models import model_of
from tests.support.references.comparison import REFERENCES, close, outputs


def read_and_written(site, x, mask=None):
    site.context.mask = mask
    try:
        return x, site.branch(x)
    finally:
        site.context.mask = None


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("stack", ["encoder", "decoder"])
def test_attention_starts_as_the_identity(stack, padded):
    model = model_of("skipless").double()
    x = torch.randn(2, 5, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(2, 5, dtype=torch.bool)
    mask[1, 3:] = not padded
    for site in getattr(model, stack).sites:
        if site.kind == "attention":
            read, written = read_and_written(site, x, mask if padded else None)
            torch.testing.assert_close(written[mask], read[mask])


def test_only_the_first_layer_has_a_matrix_of_values():
    names = [name for name, _ in model_of("skipless").named_parameters() if ".attention.sublayer" in name]
    assert not [name for name in names if ".out." in name]
    assert {name.split(".")[2] for name in names if ".value." in name} == {"01"}


@pytest.mark.parametrize("depth", [2, 18])
def test_the_factor_on_the_feed_forward_falls_with_depth(depth):
    b = model_of("skipless", depth, 1).encoder.sites[-1].b.item()
    assert b == pytest.approx(0.1 * math.sqrt(18 / depth))
    assert model_of("skipless", depth, 1, options={"start": 1.0}).encoder.sites[-1].b.item() == pytest.approx(10 * b)


def test_what_attention_keeps_is_let_go():
    """Otherwise the last batch and its graph would stay in memory."""
    model = model_of("skipless", task="language_modelling")
    model(None, None, torch.zeros(1, 3, dtype=torch.long))
    shaped = [module for module in model.modules() if hasattr(module, "token_mean")]
    assert shaped
    for module in shaped:
        with pytest.raises(RuntimeError, match="must be passed before"):
            module.values[0].take()


def test_an_option_does_what_the_reference_does():
    assert all(
        close(ours, theirs) for ours, theirs in outputs("skipless", "translation", REFERENCES["skipless"], start=2.0)
    )


def test_a_mean_over_tokens_leaves_padding_out_head_by_head():
    mean = TokenMean(causal=False)
    x = torch.arange(12.0).view(1, 2, 3, 2)  # batch, head, token, head width
    mean.bind(type("Context", (), {"mask": torch.tensor([[True, True, False]])}))
    assert mean(x)[0, :, 0].tolist() == [[1, 2], [7, 8]]
    assert mean(x[:, 0])[0, 2].tolist() == [1, 2]
