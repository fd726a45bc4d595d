"""How sharply queries choose among the keys that they see."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from normexp.model.variant import Site
from normexp.norms.norm import at_least_float32
from normexp.probes.context import ProbeContext
from normexp.probes.probe import Probe, Readings, site_key


class AttentionEntropy(Probe):
    """−Σ p ln p of softmax(QKᵀ/√head_width), nats, and the largest logit   Zhai et al. 2023, Wortsman et al. 2023

    At every attention and cross-attention, over heads and the queries of real tokens: attention_entropy, the mean;
    attention_entropy_share, the mean of entropy / ln(visible keys), 1 where attention is uniform, over queries that
    see more than one key (nan where none does); attention_logit_max, the largest |logit| of a visible key.
    Dropout of attention weights comes after them, so it does not count. Persistent keys (attention=all_attention) are
    left out: what is told is how queries choose among tokens.
    """

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
        entropy = torch.special.entr(logits.masked_fill(~sees, -torch.inf).softmax(dim=-1)).sum(dim=-1)

        asks = context.mask_of(site.shape.stack)
        count = sees.sum(dim=-1, dtype=logits.dtype)[:, 0].expand(len(logits), -1)  # batch, query
        asks = torch.ones_like(count, dtype=torch.bool) if asks is None else asks
        chooses = asks & (count > 1)
        by_query = entropy.transpose(1, 2)  # batch, query, head
        yield "attention_entropy", by_query[asks].mean()
        yield "attention_entropy_share", (by_query[chooses] / count[chooses].log()[:, None]).mean()
        yield "attention_logit_max", logits.masked_fill(~(sees & asks[:, None, :, None]), 0).abs().amax()


def visible(site: Site, context: ProbeContext, logits: Tensor) -> Tensor:
    """Which keys a query sees.   batch or 1, 1, query or 1, key"""
    queries, keys = logits.shape[-2:]
    everything = torch.ones(1, 1, queries, keys, dtype=torch.bool, device=logits.device)
    if site.sublayer.causal:
        return everything.tril()
    mask = context.mask_of("encoder")  # a cross-attention reads the encoder too
    return everything if mask is None else mask[:, None, None, :].expand(-1, -1, queries, -1)
