"""What a model writes for texts of the test part: translations, continuations, or the class of a text."""

from collections.abc import Sequence

import torch

from normexp.data.batches import IGNORE, Batches
from normexp.data.corpus import Corpus
from normexp.data.examples import Example
from normexp.data.vocabulary import BOS, EOS
from normexp.model.build import Model
from normexp.model.transformer import LanguageModel, Translator
from normexp.records.samples import Sample
from normexp.training.evaluate import logits

PROMPT = 24  # tokens that a language model reads, and at most writes
FEW = 10  # texts of the tasks other than translation


@torch.no_grad()
def samples(
    model: Model, corpus: Corpus, examples: Sequence[Example], tokens: int, device: torch.device
) -> list[Sample]:
    """Greedy answers to these examples; to the first FEW of them unless the model translates.

    In the order of their lengths, which is that of batches; continuations in the order given. tokens: in a batch.
    """
    model.eval()
    if isinstance(model, Translator):
        written = _translations(model, corpus, examples, tokens, device)
    elif isinstance(model, LanguageModel):
        written = [_continuation(model, corpus, example, device) for example in examples[:FEW]]
    else:
        written = _classes(model, corpus, examples[:FEW], tokens, device)
    model.train()
    return written


def _translations(
    model: Translator, corpus: Corpus, examples: Sequence[Example], tokens: int, device: torch.device
) -> list[Sample]:
    decode = corpus.vocabulary.decode
    found = []
    for on_host in Batches(examples, tokens).epoch(None):
        batch = on_host.to(device)
        written = model.translate(batch.source, batch.source_mask, begin=BOS, end=EOS)
        for source, labels, words in zip(on_host.source.tolist(), on_host.labels.tolist(), written, strict=True):
            expected = [word for word in labels if word not in (IGNORE, EOS)]
            found.append(Sample(decode(source), decode(expected), decode(words)))
    return found


def _continuation(model: LanguageModel, corpus: Corpus, example: Example, device: torch.device) -> Sample:
    """The first half of a text, at most PROMPT tokens, continued by the most probable token each time."""
    assert isinstance(example.target, list)
    read = max(1, min(PROMPT, len(example.target) // 2))
    end = min(len(example.target), 2 * read)
    written = continued(model, example.target[:read], end - read, device)
    decode = corpus.vocabulary.decode
    return Sample(decode(example.target[:read]), decode(example.target[read:end]), decode(written))


@torch.no_grad()
def continued(model: LanguageModel, ids: Sequence[int], most: int, device: torch.device) -> list[int]:
    """What follows a text: the most probable token each time, up to <eos>, `most` tokens at most."""
    text = torch.tensor([[BOS, *ids]], device=device)
    for _ in range(most):
        word = model(None, None, text, target_mask=torch.ones_like(text, dtype=torch.bool))[:, -1].argmax(dim=-1)
        text = torch.cat([text, word[:, None]], dim=1)
        if word.item() == EOS:
            break
    return text[0, 1 + len(ids) :].tolist()


def _classes(
    model: Model, corpus: Corpus, examples: Sequence[Example], tokens: int, device: torch.device
) -> list[Sample]:
    found = []
    for on_host in Batches(examples, tokens).epoch(None):
        chosen = logits(model, on_host.to(device)).argmax(dim=-1).tolist()
        for source, label, choice in zip(on_host.source.tolist(), on_host.labels.tolist(), chosen, strict=True):
            found.append(Sample(corpus.vocabulary.decode(source), corpus.classes[label], corpus.classes[choice]))
    return found
