"""Entropies by hand, from the attention weights that appear when attention is applied to an identity matrix."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from normexp.probes.attention import AttentionEntropy
from tests.support.probes import measured, padded, real_rows, trainer_of


def calls_of(trainer, batch, monkeypatch):
    """Arguments of every call of scaled_dot_product_attention in one forward: query, key, mask, causal."""
    calls, original = [], F.scaled_dot_product_attention

    def kept(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False):
        calls.append((query, key, attn_mask, is_causal))
        return original(query, key, value, attn_mask, dropout_p, is_causal)

    with monkeypatch.context() as patch, torch.no_grad():
        patch.setattr(F, "scaled_dot_product_attention", kept)
        trainer.model(batch.source, batch.source_mask, batch.target, target_mask=batch.target_mask)
    return calls


def by_hand(call, rows):
    """The three numbers of one site, query by query."""
    query, key, mask, causal = call
    identity = torch.eye(key.shape[2], dtype=key.dtype).expand(*key.shape[:3], -1)
    weights = F.scaled_dot_product_attention(query, key, identity, mask, is_causal=causal).numpy()
    query, key = query.numpy(), key.numpy()
    entropies, shares, largest = [], [], 0
    for text, row in enumerate(rows):
        for head in range(query.shape[1]):
            for token in range(row.stop):
                p = weights[text, head, token]
                seen = p > 0
                logits = key[text, head, seen] @ query[text, head, token] / math.sqrt(query.shape[-1])
                largest = max(largest, np.abs(logits).max())
                entropies.append(-(p[seen] * np.log(p[seen])).sum())
                if seen.sum() > 1:
                    shares.append(entropies[-1] / np.log(seen.sum()))
    return {
        "attention_entropy": np.mean(entropies),
        "attention_entropy_share": np.mean(shares),
        "attention_logit_max": largest,
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    [
        ("variant=post_ln",),
        ("variant=pre_ln", "model.attention_norm=qk"),
        ("variant=resi_dual",),
        ("variant=hybrid_norm",),
        ("variant=b2t", "task=language_modelling"),
        ("variant=deep_norm", "task=classification"),
        ("variant=pre_ln", "model.positions=rotary"),
        ("variant=pre_ln", "model.positions=alibi"),
    ],
)
def test_numbers_are_those_of_every_query_by_hand(line, monkeypatch):
    trainer = trainer_of(*line)
    trainer.model.double()
    batch = padded(trainer)
    rows = measured(AttentionEntropy(), trainer.probe_context(batch))
    calls = calls_of(trainer, batch, monkeypatch)
    sites = [s for stack in trainer.model.stacks for s in stack.sites if s.kind != "feed_forward"]
    assert len(calls) == len(sites) == len(rows) / 3
    for site, call in zip(sites, calls, strict=True):
        stack = site.shape.stack
        for statistic, expected in by_hand(call, real_rows(batch, stack)).items():
            value = rows[stack, site.layer, site.name.rpartition(".")[2], statistic]
            assert value == pytest.approx(expected, rel=1e-9), (site.name, statistic)


def test_uniform_attention_has_the_log_of_what_is_visible():
    trainer = trainer_of("variant=pre_ln")
    for stack in trainer.model.stacks:
        for site in stack.sites:
            if site.kind != "feed_forward":
                torch.nn.init.zeros_(site.sublayer.query.weight)
    batch = padded(trainer)
    rows = measured(AttentionEntropy(), trainer.probe_context(batch))
    assert rows.xs("attention_entropy_share", level="statistic").tolist() == pytest.approx([1] * 6)
    assert rows.xs("attention_logit_max", level="statistic").tolist() == [0] * 6
    sources, targets = ([row.stop for row in real_rows(batch, stack)] for stack in ("encoder", "decoder"))
    over_source = np.average(np.log(sources), weights=sources)
    before = np.mean([math.log(seen + 1) for length in targets for seen in range(length)])
    across = np.average(np.log(sources), weights=targets)
    assert rows["encoder", 2, "attention", "attention_entropy"] == pytest.approx(over_source)
    assert rows["decoder", 2, "attention", "attention_entropy"] == pytest.approx(before)
    assert rows["decoder", 2, "cross_attention", "attention_entropy"] == pytest.approx(across)


@pytest.mark.slow
def test_half_precision_training_is_told_in_float32():
    trainers = [trainer_of("variant=post_ln", f"training.amp={amp}") for amp in ("bf16", "none")]
    rows = [measured(AttentionEntropy(), trainer.probe_context(padded(trainer))) for trainer in trainers]
    assert rows[0].to_numpy() == pytest.approx(rows[1].to_numpy(), rel=0.1)
    assert (rows[0] != rows[1]).all()
