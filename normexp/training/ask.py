"""What a trained model answers to texts: a translation, a continuation, or classes with their probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from normexp.data.corpus import Corpus
from normexp.data.vocabulary import BOS, EOS, UNK
from normexp.errors import ConfigError
from normexp.model.build import Model
from normexp.model.transformer import LanguageModel, Translator
from normexp.training.samples import PROMPT, continued

CLASSES = 3  # that an answer names, the most probable first


@dataclass(frozen=True)
class Question:
    """A text as ids, without <bos> and <eos>.

    expected: the reference of a text of the test part; "" for a text that people give. most: tokens that are written.
    """

    ids: list[int]
    given: str
    expected: str = ""
    most: int = 0

    @property
    def unknown(self) -> int:
        """Tokens that are not in the vocabulary."""
        return self.ids.count(UNK)


def questions_of(corpus: Corpus, texts: Sequence[str], most: int) -> list[Question]:
    """Texts that people give. most: tokens of a continuation. Raises ConfigError for an empty one."""
    for text in texts:
        if not text.strip():
            raise ConfigError("TEXT must have at least one character that is not a space; got none")
    return [Question(corpus.vocabulary.encode(text), text, most=most) for text in texts]


def questions_from_test(corpus: Corpus, task: str, count: int) -> list[Question]:
    """Texts of the test part at equal distances, at most `count`. Of running text, the first half is to continue."""
    examples, decode, found = corpus.examples("test", task), corpus.vocabulary.decode, []
    for place in np.linspace(0, len(examples) - 1, min(count, len(examples))).round().astype(int).tolist():
        source, target = examples[place].source, examples[place].target
        if isinstance(target, int):
            found.append(Question(_without_eos(source), decode(source), corpus.classes[target]))
        elif source:
            found.append(Question(_without_eos(source), decode(source), decode(target)))
        else:
            read = max(1, min(PROMPT, len(target) // 2))
            rest = target[read : 2 * read]
            found.append(Question(target[:read], decode(target[:read]), decode(rest), len(rest)))
    return found


@dataclass(frozen=True)
class Answer:
    """What a model answers. exact: whether it is the reference, or the most probable class is."""

    text: str
    exact: bool


@torch.no_grad()
def answer(model: Model, corpus: Corpus, question: Question) -> Answer:
    """The model's answer, greedy: each time the most probable token. The model is in evaluation mode, on the CPU.

    Raises ConfigError for a text that is longer than the model takes.
    """
    length = len(question.ids) + 1  # with <eos>, or <bos>
    if length > model.embedding.max_length:
        raise ConfigError(f"TEXT must have at most {model.embedding.max_length - 1} tokens; got {length - 1}")
    device = torch.device("cpu")
    if isinstance(model, LanguageModel) and not isinstance(model, Translator):
        most = min(question.most, model.embedding.max_length - length)
        return _compared(corpus, continued(model, [question.ids], most, device)[0], question)
    source = torch.tensor([[*question.ids, EOS]])
    if isinstance(model, Translator):
        return _compared(corpus, model.translate(source, None, begin=BOS, end=EOS)[0], question)
    shares = model(source)[0].softmax(dim=-1)
    best = shares.topk(min(CLASSES, len(shares)))
    names = [corpus.classes[place] for place in best.indices.tolist()]
    text = ", ".join(f"{name} {share:.0%}" for name, share in zip(names, best.values.tolist(), strict=True))
    return Answer(text, names[0] == question.expected)


def _compared(corpus: Corpus, ids: Sequence[int], question: Question) -> Answer:
    """What was written as text. An unknown token is not the one of the reference, and a person's text has none."""
    text = corpus.vocabulary.decode(ids)
    return Answer(text, bool(question.expected) and text == question.expected and UNK not in ids)


def _without_eos(ids: list[int]) -> list[int]:
    return ids[:-1] if ids[-1:] == [EOS] else ids
