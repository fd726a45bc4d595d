"""What a model writes for texts of the test part."""

import pytest
import torch

from normexp.data.batches import Batches
from normexp.data.corpus import load_corpus
from normexp.data.vocabulary import EOS, UNK
from normexp.model.build import build
from normexp.training.evaluate import losses
from normexp.training.samples import FEW, PROMPT, WRONG, samples
from tests.support.configs import config_of
from tests.support.runs import TINY

CPU = torch.device("cpu")
SMALL = [key for key in TINY if not key.startswith(("record.sentences", "data.pairs"))]


def made(*overrides: str):
    config = config_of(*SMALL, *overrides)
    corpus = load_corpus(config.data)
    model = build(config, corpus)
    return model, corpus, corpus.examples("test", config.task.name)


def test_translations_come_with_source_and_reference() -> None:
    model, corpus, examples = made("data.pairs=300")
    found = samples(model, corpus, examples[:12], 400, CPU)
    decode = corpus.vocabulary.decode
    pairs = {(decode(each.source), decode(each.target)) for each in examples[:12]}
    assert {(each.given, each.expected) for each in found} == pairs
    assert model.training


def test_a_continuation_is_the_most_probable_text() -> None:
    model, corpus, examples = made("task=language_modelling", "data=cldr_dates", "data.pairs=300")
    found = samples(model, corpus, examples, 400, CPU)
    assert len(found) == FEW
    decode = corpus.vocabulary.decode
    model.eval()
    for one, example in zip(found, examples, strict=False):
        ids = example.target
        read = min(PROMPT, len(ids) // 2)
        assert one.given == decode(ids[:read])
        assert one.expected == decode(ids[read : 2 * read])
        text = [1, *ids[:read]]
        for _ in range(read):
            text.append(int(model(None, None, torch.tensor([text]))[0, -1].argmax()))
            if text[-1] == EOS:
                break
        assert one.written == decode(text[1 + read :])


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["layer_norm", "batch_norm"])
def test_the_answer_to_a_text_is_a_class(norm: str) -> None:
    model, corpus, examples = made("task=classification", "data.phrases=200", f"norm={norm}")
    found = samples(model, corpus, examples, 400, CPU)
    assert len(found) == FEW
    assert {each.written for each in found} <= set(corpus.classes)
    read = {corpus.vocabulary.decode(each.source): corpus.classes[each.target] for each in examples[:FEW]}
    assert {each.given: each.expected for each in found} == read


def test_batches_of_one_are_read_with_another_source() -> None:
    """Else no run of long pairs, one to a batch, could show that it reads its source."""
    model, _, examples = made("data.pairs=300")
    longest = max(len(each.source) + len(each.target) for each in examples)
    alike = [each for each in examples if len(each.source) + len(each.target) > longest / 2][:5]
    batches = Batches(alike, longest).epoch(None)
    assert {len(batch.labels) for batch in batches} == {1}
    found = losses(model, batches, CPU)
    assert found["permuted_nll"] != pytest.approx(found["nll"], rel=1e-6)


def test_an_unknown_word_is_never_the_one_of_the_reference(monkeypatch) -> None:
    model, corpus, examples = made("data.pairs=300")
    monkeypatch.setattr(model, "translate", lambda source, mask, begin, end: [[UNK, EOS] for _ in source])
    assert {each.written for each in samples(model, corpus, examples[:3], 400, CPU)} == {WRONG}
