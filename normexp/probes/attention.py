"""Entropy of attention and the size of its logits."""

import math
from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor

from normexp.model.variant import Site
from normexp.norms.norm import at_least_float32
from normexp.probes.context import ProbeContext
from normexp.probes.probe import Probe, Readings, site_key


class AttentionEntropy(Probe):
    """−Σ p ln p of p = softmax(QKᵀ/√head_width), and the largest logit, at every attention and cross-attention.

    Means run over heads and over the queries of real tokens. attention_entropy_share is the mean of entropy /
    ln(visible keys) over the queries that see more than one key, and NaN where no query does. attention_logit_max is a
    maximum over the batch, which grows with the batch: compare it at equal batch_tokens. The bias of
    model.positions=alibi counts for the entropy, not for the logit, because it is fixed. Attention dropout is applied
    after the softmax and does not count. Persistent keys (attention=all_attention) are left out: the probe measures how
    queries choose among tokens. For the logits see Wortsman et al. 2023.
    """

    measures = "entropy of the attention weights (nats) and the largest |logit|; entropy near 0: collapsed"
    statistics: ClassVar[dict[str, str]] = {
        "attention_entropy": "entropy of the attention weights (nats), mean over heads and queries",
        "attention_entropy_share": "entropy of the attention weights over that of uniform attention; 1: uniform",
        "attention_logit_max": "largest |logit| of a visible key in the batch",
    }
    paper = "zhai2023"

    def measure(self, context: ProbeContext) -> Readings:
        return Readings.of(
            (site_key(site, statistic), value)
            for site in context.sites
            if f"{site.name}/query" in context.trace
            for statistic, value in self._of(site, context)
        )

    def _of(self, site: Site, context: ProbeContext) -> Iterator[tuple[str, Tensor]]:
        query, key = (at_least_float32(context.trace[f"{site.name}/{what}"].detach()) for what in ("query", "key"))
        logits = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])  # batch, head, query, key
        sees = visible(site, context, logits)
        bias = site.sublayer.bias(query)  # type: ignore[operator]
        biased = logits if bias is None else logits + bias
        entropy = torch.special.entr(biased.masked_fill(~sees, -torch.inf).softmax(dim=-1)).sum(dim=-1)

        asks = context.mask_of(site.shape.stack)
        count = sees.sum(dim=-1, dtype=logits.dtype)[:, 0].expand(len(logits), -1)  # batch, query
        asks = torch.ones_like(count, dtype=torch.bool) if asks is None else asks
        chooses = asks & (count > 1)
        by_query = entropy.transpose(1, 2)  # batch, query, head
        yield "attention_entropy", by_query[asks].mean()
        yield "attention_entropy_share", (by_query[chooses] / count[chooses].log()[:, None]).mean()
        yield "attention_logit_max", logits.masked_fill(~(sees & asks[:, None, :, None]), 0).abs().amax()


def visible(site: Site, context: ProbeContext, logits: Tensor) -> Tensor:
    """True at the keys that a query sees.   batch or 1, 1, query or 1, key"""
    queries, keys = logits.shape[-2:]
    everything = torch.ones(1, 1, queries, keys, dtype=torch.bool, device=logits.device)
    if site.sublayer.causal:
        return everything.tril()
    mask = context.mask_of("encoder")  # cross-attention reads the encoder too
    return everything if mask is None else mask[:, None, None, :].expand(-1, -1, queries, -1)
