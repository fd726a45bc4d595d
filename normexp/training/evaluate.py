"""What a model reaches on examples that it was not trained on."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import sacrebleu
import torch
import torch.nn.functional as F
from torch import Tensor

from normexp.data.batches import IGNORE, Batch
from normexp.model.build import Model
from normexp.model.transformer import LanguageModel, Translator
from normexp.norms.norm import at_least_float32
from normexp.records.samples import Sample


def logits(model: Callable[..., Any], batch: Batch, **more: Any) -> Tensor:
    """The model's prediction for every label.   batch, target token, word  or  batch, class"""
    scores: Tensor = model(batch.source, batch.source_mask, batch.target, target_mask=batch.target_mask, **more)
    return scores


def cross_entropy(scores: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
    """Mean over the labels that count, in float32 or better.   nats per token or per text"""
    flat = at_least_float32(scores.flatten(0, -2))
    return F.cross_entropy(flat, labels.flatten(), ignore_index=IGNORE, label_smoothing=smoothing)


@torch.no_grad()
def losses(model: Model, batches: Sequence[Batch], device: torch.device) -> dict[str, float]:
    """nll, token_accuracy (accuracy for texts) and, for translation, permuted_nll over all labels.

    permuted_nll: nll with every target given its neighbour's source, which for a batch of one is in the batch before. A
        model that ignores the source has the same loss.
    """
    model.eval()
    translates = isinstance(model, Translator)
    sums: dict[str, Tensor | float] = {"nll": 0.0, "right": 0.0, "permuted_nll": 0.0}
    count: int | Tensor = 0
    for place, on_host in enumerate(batches):
        batch = on_host.to(device)
        scores = logits(model, batch)
        sums["nll"] += cross_entropy(scores, batch.labels) * batch.tokens
        sums["right"] += (scores.argmax(dim=-1) == batch.labels).sum()
        if translates:
            alone = len(batch.labels) == 1
            other = batch.with_source_of(batches[place - 1].to(device)) if alone else batch.permuted()
            sums["permuted_nll"] += cross_entropy(logits(model, other), other.labels) * batch.tokens
        count += batch.tokens
    model.train()
    mean = {name: float(value) / float(count) for name, value in sums.items()}
    if not translates:
        del mean["permuted_nll"]
    mean["token_accuracy" if isinstance(model, LanguageModel) else "accuracy"] = mean.pop("right")
    return mean


def translation_scores(samples: Iterable[Sample]) -> dict[str, float]:
    """BLEU (13a) and chrF of translations, by sacrebleu."""
    pairs = [(each.written, each.expected) for each in samples]
    written, references = [each for each, _ in pairs], [each for _, each in pairs]
    return {
        "bleu": sacrebleu.corpus_bleu(written, [references]).score,
        "chrf": sacrebleu.corpus_chrf(written, [references]).score,
    }
