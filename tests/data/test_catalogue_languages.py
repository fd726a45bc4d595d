import re
from collections import Counter

import numpy as np
import pytest

from normexp.data.catalogue_languages import LANGUAGES, catalogue_languages
from normexp.data.classification import fold
from normexp.data.messages import FILLED, messages


@pytest.fixture(scope="module")
def corpus():
    return catalogue_languages()


@pytest.mark.slow
def test_every_language_has_as_many_texts(corpus):
    counts = sum((Counter(split["target"][:]) for split in corpus.splits.values()), Counter())
    assert counts == dict.fromkeys(range(20), 400)
    assert corpus.classes == LANGUAGES == tuple(corpus.splits["train"].features["target"].names)
    assert corpus.splits["train"].num_rows == pytest.approx(6400, rel=0.05)
    assert corpus.baselines["blind"] == pytest.approx(np.log(20), abs=0.005)
    assert corpus.baselines["floor"] == 0


@pytest.mark.slow
def test_no_text_is_of_two_languages_or_in_two_splits(corpus):
    texts = [text for split in corpus.splits.values() for text in split["text"]]
    assert len(set(texts)) == len(texts)
    assert all(re.fullmatch("[a-z0 ]{12,64}", text) for text in texts)
    assert not any(re.search(r"\bx0\b", text) for text in texts)


@pytest.mark.slow
def test_a_message_is_held_out_in_all_languages_at_once(corpus):
    where = {(text, label): name for name, split in corpus.splits.items() for text, label in _rows(split)}
    compared = 0
    for texts in messages(["django", "allauth"], LANGUAGES)[0]:
        read = {(fold(FILLED.sub(" ", texts[code])), LANGUAGES.index(code)) for code in texts}
        splits = {where[each] for each in read if each in where}
        assert len(splits) <= 1
        compared += len(read & set(where)) > 10
    assert compared > 100


def _rows(split):
    return zip(split["text"], split["target"], strict=True)


@pytest.mark.slow
def test_a_bag_of_characters_does_not_solve_it(corpus):
    """Accuracy on test of naive Bayes over characters, and over words."""
    accuracy = {}
    for name, tokens in {"characters": list, "words": str.split}.items():
        counts = [Counter() for _ in corpus.classes]
        train, test = corpus.splits["train"], corpus.splits["test"]
        for text, label in _rows(train):
            counts[label].update(tokens(text))
        known = set().union(*counts)
        totals = [sum(each.values()) + len(known) for each in counts]
        correct = 0
        for text, label in _rows(test):
            seen = [token for token in tokens(text) if token in known]
            scores = [
                sum(np.log((each[t] + 1) / total) for t in seen) for each, total in zip(counts, totals, strict=True)
            ]
            correct += int(np.argmax(scores)) == label
        accuracy[name] = correct / len(test)
    print(accuracy)
    assert 0.35 < accuracy["characters"] < 0.55
    assert 0.7 < accuracy["words"] < 0.9


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"languages": ["en", "en"]}, "data.languages must be at least two different languages; got en, en"),
        ({"languages": ["en", "xx"], "phrases": 10}, "which have 0 in xx; got 10"),
        ({"languages": ["en", "de"], "phrases": 5000}, "data.phrases must be low enough for the messages of django"),
        ({"phrases": 9}, "data.phrases must be at least 10; got 9"),
        ({"packages": "no_such_package"}, "got no_such_package; pip install 'normexp[text]'"),
    ],
)
def test_bad_options_get_one_sentence(options, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        catalogue_languages(**options)
