"""Similarity of tokens, text by text with numpy, from streams that hooks caught."""

import copy
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch

from normexp.errors import ConfigError
from normexp.probes.token_similarity import TokenSimilarity
from tests.support.probes import measured, padded, real_rows, streams_by_hand, trainer_of


def alike(x):
    """The three numbers of one text.   token, width"""
    cosines = [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in permutations(x, 2)]
    share = np.linalg.svd(x, compute_uv=False)
    share = share[share > 0] / share.sum()

    def composite(matrix):
        return np.sqrt(np.linalg.norm(matrix, 1) * np.linalg.norm(matrix, np.inf))

    return {
        "token_cosine": np.mean(cosines),
        "effective_rank": np.exp(-(share * np.log(share)).sum()),
        "rank_residual": composite(x - x.mean(axis=0)) / composite(x),
    }


@pytest.mark.parametrize("variant", ["post_ln", "pre_ln", "b2t", "resi_dual", "admin"])
@pytest.mark.parametrize("double", [True, False])
def test_numbers_are_those_of_every_text_by_hand(variant, double):
    trainer = trainer_of(f"variant={variant}")
    batch = padded(trainer)
    assert len(batch.source) > 5
    rows = measured(TokenSimilarity(texts=5, float64=double), trainer.probe_context(batch))
    streams = streams_by_hand(copy.deepcopy(trainer.model).double(), batch, variant)
    assert len(rows) == 3 * len(streams) == 3 * 12
    for (stack, layer, site), stream in streams.items():
        texts = [alike(x[rows_].numpy()) for x, rows_ in zip(stream[:5], real_rows(batch, stack)[:5], strict=True)]
        for statistic in texts[0]:
            expected = np.mean([text[statistic] for text in texts])
            tolerance = 1e-9 if double else 1e-4
            assert rows[stack, layer, site, statistic] == pytest.approx(expected, rel=tolerance, abs=tolerance)


def test_the_first_stream_is_the_variants_start():
    """What the variant makes of the embedding, e.g. the sum of copies, not the embedding."""
    trainer = trainer_of("variant=hyper_connections")
    (decoder,) = [stack for stack in trainer.model.stacks if stack.shape.stack == "decoder"]
    context = trainer.probe_context(padded(trainer))
    streams = context.streams(decoder)
    assert list(streams) == [None, *decoder.sites]
    assert torch.allclose(streams[None], 4 * context.trace["decoder/input"])  # the sum of four copies


def test_effective_rank_may_be_taken_of_centred_tokens():
    trainer = trainer_of("variant=pre_ln")
    context = trainer.probe_context(padded(trainer))
    rows = measured(TokenSimilarity(texts=5, centred=True), context)
    key = ("decoder", 2, "attention")
    stream = streams_by_hand(copy.deepcopy(trainer.model).double(), context.batch, "pre_ln")[key]
    slices = real_rows(context.batch, "decoder")
    texts = [x[r].numpy() for x, r in zip(stream[:5], slices[:5], strict=True)]
    expected = np.mean([alike(x - x.mean(axis=0))["effective_rank"] for x in texts])
    assert rows[(*key, "effective_rank")] == pytest.approx(expected, rel=1e-9)
    plain = measured(TokenSimilarity(texts=5), context)
    assert plain[(*key, "token_cosine")] == rows[(*key, "token_cosine")]
    assert plain[(*key, "effective_rank")] != pytest.approx(expected, rel=1e-3)


def test_a_text_of_one_token_is_left_out():
    trainer = trainer_of("variant=pre_ln")
    batch = padded(trainer)
    short = batch.source_mask.clone()
    short[0, 1:] = False
    with_short = replace(batch, source_mask=short)
    rows = measured(TokenSimilarity(texts=4), trainer.probe_context(with_short))
    stream = streams_by_hand(copy.deepcopy(trainer.model).double(), with_short, "pre_ln")["encoder", 2, "feed_forward"]
    expected = [alike(x[r].numpy())["token_cosine"] for x, r in zip(stream, real_rows(batch, "encoder"), strict=True)]
    assert rows["encoder", 2, "feed_forward", "token_cosine"] == pytest.approx(np.mean(expected[1:4]), rel=1e-9)
    alone = replace(batch, source_mask=short & (torch.arange(short.shape[1]) < 1))
    assert np.isnan(
        measured(TokenSimilarity(), trainer.probe_context(alone))["encoder", 1, "attention", "effective_rank"]
    )


@pytest.mark.slow
def test_float64_resolves_collapse_that_float32_cannot():
    trainer = trainer_of("variant=no_residual", "depth=12")
    context = trainer.probe_context(padded(trainer))
    last = ("encoder", 12, "feed_forward", "rank_residual")
    with_double, single = (measured(TokenSimilarity(float64=double), context)[last] for double in (True, False))
    assert with_double < 1e-9 < 1e-8 < single


def test_a_stream_that_is_not_finite_is_nan():
    trainer = trainer_of("variant=pre_ln")
    trainer.model.encoder.sites[0].sublayer.out.bias.data[0] = torch.nan
    rows = measured(TokenSimilarity(), trainer.probe_context(padded(trainer)))
    assert np.isfinite(rows["encoder", 0, "", "effective_rank"])
    assert rows.xs(("encoder", 1), level=("stack", "layer")).isna().all()


def test_bf16_training_is_measured_in_float64():
    trainer = trainer_of("variant=post_ln", "training.amp=bf16")
    context = trainer.probe_context(padded(trainer))
    rows = measured(TokenSimilarity(texts=5), context)
    stream = streams_by_hand(copy.deepcopy(trainer.model).double(), context.batch, "post_ln")["decoder", 2, "attention"]
    slices = real_rows(context.batch, "decoder")
    expected = np.mean([alike(x[r].numpy())["effective_rank"] for x, r in zip(stream[:5], slices[:5], strict=True)])
    assert rows["decoder", 2, "attention", "effective_rank"] == pytest.approx(expected, rel=1e-9)


def test_no_text_is_refused():
    with pytest.raises(ConfigError, match=r"probes\.token_similarity\.texts must be at least 1; got 0"):
        TokenSimilarity(texts=0)
