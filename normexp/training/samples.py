"""What a model writes for texts of the test part: translations, continuations, or the class of a text."""

from collections.abc import Sequence

import torch

from normexp.data.batches import IGNORE, Batches
from normexp.data.corpus import Corpus
from normexp.data.examples import Example
from normexp.data.vocabulary import BOS, EOS, SPECIAL, UNK
from normexp.model.build import Model
from normexp.model.transformer import LanguageModel, Translator
from normexp.records.samples import Sample
from normexp.training.evaluate import logits

PROMPT = 24  # tokens that a language model reads, and at most writes
WRONG = "⁇"  # in place of <unk> in a translation: the word of a reference that is unknown is no other unknown word
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
        written = _continuations(model, corpus, examples[:FEW], device)
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
            found.append(Sample(decode(source), decode(expected), decode(words).replace(SPECIAL[UNK], WRONG)))
    return found


def _continuations(
    model: LanguageModel, corpus: Corpus, examples: Sequence[Example], device: torch.device
) -> list[Sample]:
    """The first half of every text, at most PROMPT tokens, continued by the most probable token each time."""
    decode, found = corpus.vocabulary.decode, {}
    read = [max(1, min(PROMPT, len(example.target) // 2)) for example in examples]  # type: ignore[arg-type]
    for size in set(read):  # texts of one size make one batch
        rows = [row for row, count in enumerate(read) if count == size]
        texts: list[list[int]] = [examples[row].target for row in rows]  # type: ignore[misc]
        written = continued(model, [text[:size] for text in texts], size, device)
        for row, text, words in zip(rows, texts, written, strict=True):
            end = min(len(text), 2 * size)
            found[row] = Sample(decode(text[:size]), decode(text[size:end]), decode(words[: end - size]))
    return [found[row] for row in range(len(examples))]


@torch.no_grad()
def continued(model: LanguageModel, texts: Sequence[Sequence[int]], most: int, device: torch.device) -> list[list[int]]:
    """What follows texts of one length: the most probable token each time, up to <eos>, `most` tokens at most."""
    begun = torch.tensor([[BOS, *text] for text in texts], device=device)
    whole = begun
    for _ in range(most):
        scores = model(None, None, whole, target_mask=torch.ones_like(whole, dtype=torch.bool))
        whole = torch.cat([whole, scores[:, -1:].argmax(dim=-1)], dim=1)
        if bool((whole[:, begun.shape[1] :] == EOS).any(dim=1).all()):
            break
    written = whole[:, begun.shape[1] :].tolist()
    return [words[: words.index(EOS) + 1] if EOS in words else words for words in written]


def _classes(
    model: Model, corpus: Corpus, examples: Sequence[Example], tokens: int, device: torch.device
) -> list[Sample]:
    found = []
    for on_host in Batches(examples, tokens).epoch(None):
        chosen = logits(model, on_host.to(device)).argmax(dim=-1).tolist()
        for source, label, choice in zip(on_host.source.tolist(), on_host.labels.tolist(), chosen, strict=True):
            found.append(Sample(corpus.vocabulary.decode(source), corpus.classes[label], corpus.classes[choice]))
    return found
