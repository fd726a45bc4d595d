"""Positions by least squares in numpy, and words by a model that is cut off after the layer in question."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from normexp.errors import ConfigError
from normexp.probes.read_out import ReadOut, position_r2
from tests.support.probes import measured, padded, real_rows, streams_by_hand, trainer_of


def r2_by_hand(stream, rows, ridge):
    """R² of the position; ridge regression as least squares with a row of penalty per feature."""
    texts = [x[row].numpy() for x, row in zip(stream, rows, strict=True)]
    (x, y), (x_test, y_test) = (
        (np.concatenate(half), np.concatenate([np.arange(len(text)) for text in half]))
        for half in (texts[::2], texts[1::2])
    )
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    penalty = np.sqrt(len(x) * ridge) * np.eye(x.shape[1])
    features = np.concatenate([(x - mean) / deviation, penalty])
    weights, *_ = np.linalg.lstsq(features, np.concatenate([y - y.mean(), np.zeros(x.shape[1])]), rcond=None)
    residual = y_test - y.mean() - (x_test - mean) / deviation @ weights
    return 1 - np.square(residual).sum() / np.square(y_test - y_test.mean()).sum()


@pytest.mark.parametrize("variant", ["post_ln", "pre_ln", "resi_dual", "b2t"])
def test_positions_are_read_out_as_by_least_squares(variant):
    trainer = trainer_of(f"variant={variant}")
    trainer.model.double()
    batch = padded(trainer)
    rows = measured(ReadOut(ridge=0.1), trainer.probe_context(batch)).xs("position_r2", level="statistic")
    streams = streams_by_hand(trainer.model, batch, variant)
    assert set(rows.index) == set(streams)
    for (stack, layer, site), stream in streams.items():
        expected = r2_by_hand(stream, real_rows(batch, stack), 0.1)
        assert rows[stack, layer, site] == pytest.approx(expected, rel=1e-7)


def test_r2_is_1_for_a_counter_and_0_for_noise():
    noise = torch.randn(40, 9, 4, generator=torch.Generator().manual_seed(0))
    counted = noise.clone()
    counted[:, :, 2] = 3 - 0.5 * torch.arange(9)
    counted[:, :, 3] = 7  # a feature that never varies
    assert position_r2(counted, None, 1e-4).item() == pytest.approx(1, abs=1e-3)
    assert position_r2(noise, None, 1e-4).item() < 0.1


def test_nothing_can_be_tested_on_a_batch_of_one_text():
    trainer = trainer_of("variant=pre_ln")
    batch = padded(trainer)
    one = replace(batch, source=batch.source[:1], source_mask=None, target=batch.target[:1], labels=batch.labels[:1])
    trainer.done = 1
    rows = measured(ReadOut(), trainer.probe_context(one))
    assert rows.xs("position_r2", level="statistic").isna().all()
    assert rows.xs("word_nll", level="statistic").notna().all()


@pytest.mark.parametrize(
    "line",
    [
        ("variant=pre_ln",),
        ("variant=post_ln", "model.tied=false"),
        ("variant=admin",),
        ("variant=fixup",),
        ("variant=pre_ln", "norm=batch_norm", "task=language_modelling"),
    ],
)
def test_words_are_those_of_a_model_that_ends_there(line):
    trainer = trainer_of(*line)
    trainer.model.double()
    batch = padded(trainer)
    context = trainer.probe_context(batch)
    rows = measured(ReadOut(), context)
    for layer in (1, 2):
        cut = copy.deepcopy(trainer.model)
        cut.decoder.sites_by_layer = cut.decoder.sites_by_layer[:layer]
        scores = cut(batch.source, batch.source_mask, batch.target, target_mask=batch.target_mask)
        nll = F.cross_entropy(scores.flatten(0, 1), batch.labels.flatten(), ignore_index=-100).item()
        hits = [s.argmax(-1) == label for s, label in zip(scores.flatten(0, 1), batch.labels.flatten(), strict=True)]
        assert rows["decoder", layer, "feed_forward", "word_nll"] == pytest.approx(nll, rel=1e-12)
        accuracy = sum(map(bool, hits)) / int((batch.labels != -100).sum())
        assert rows["decoder", layer, "feed_forward", "word_accuracy"] == pytest.approx(accuracy, rel=1e-12)
    assert rows["decoder", 2, "feed_forward", "word_nll"] == pytest.approx(context.nll.item(), rel=1e-12)
    assert len(rows.xs("word_nll", level="statistic")) == 2


def test_words_of_a_partial_stream_use_unit_variance():
    """ResiDual shows probes one of its two streams, which the final norm does not fit."""
    trainer = trainer_of("variant=resi_dual")
    trainer.model.double()
    batch = padded(trainer)
    rows = measured(ReadOut(), trainer.probe_context(batch))
    stream = streams_by_hand(trainer.model, batch, "resi_dual")["decoder", 1, "feed_forward"]
    unit = stream.numpy() / stream.numpy().std(axis=-1, keepdims=True)
    scores = unit @ trainer.model.embedding.words.weight.detach().numpy().T
    labels = batch.labels.numpy()
    right = np.take_along_axis(scores, labels.clip(0)[..., None], axis=-1)[..., 0]
    nll = np.log(np.exp(scores).sum(axis=-1)) - right
    expected = nll[labels != -100].mean()
    assert rows["decoder", 1, "feed_forward", "word_nll"] == pytest.approx(expected, rel=1e-9)


def test_an_encoder_on_its_own_writes_no_words():
    trainer = trainer_of("variant=pre_ln", "task=classification")
    rows = measured(ReadOut(), trainer.probe_context(padded(trainer)))
    assert set(rows.index.get_level_values("statistic")) == {"position_r2"}


def test_half_precision_training_is_read_out_too():
    trainer = trainer_of("variant=pre_ln", "training.amp=bf16")
    batch = padded(trainer)
    context = trainer.probe_context(batch)
    rows = measured(ReadOut(), context)
    assert rows["decoder", 2, "feed_forward", "word_nll"] == pytest.approx(context.nll.item(), rel=0.02)


def test_a_batch_too_small_for_the_width_is_an_error():
    """Only at step 1, where the settings are the cause; a later batch may be small by chance."""
    trainer = trainer_of("variant=pre_ln")
    context, width = trainer.probe_context(padded(trainer)), trainer.config.model.width
    batch = context.batch
    few = next(n for n in range(2, len(batch.source) + 1) if int(batch.target_mask[:n:2].sum()) >= 3 * width)
    source, mask, target, labels = (x[: few - 1] for x in (batch.source, batch.source_mask, batch.target, batch.labels))
    small = replace(batch, source=source, source_mask=mask, target=target, labels=labels)
    with pytest.raises(ConfigError, match=rf"training\.batch_tokens must be larger .* = {3 * width} tokens of the"):
        ReadOut().measure(replace(context, batch=small))
    ReadOut().measure(replace(context, batch=small, step=2))


def test_no_penalty_is_refused():
    with pytest.raises(ConfigError, match=r"probes\.read_out\.ridge must be above 0; got 0"):
        ReadOut(ridge=0)
