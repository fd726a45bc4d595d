import re

import numpy as np
import pytest

from normexp.data.classification import LANGUAGES, cldr_languages, fold
from normexp.data.vocabulary import UNK


@pytest.fixture(scope="module")
def languages():
    return cldr_languages()


@pytest.mark.slow
def test_the_default_is_balanced_and_short(languages):
    assert languages.splits.num_rows == {"train": 8000, "valid": 1000, "test": 1000}
    for split in ("train", "valid", "test"):
        counts = np.bincount([e.target for e in languages.examples(split)], minlength=20)
        assert counts.min() == counts.max()
    prior = pytest.approx(np.log(20))
    assert languages.baselines == {"class_prior": prior, "blind": prior, "floor": 0}
    assert languages.baselines_for("classification")["bar"] == pytest.approx(np.log(20) / 3)
    assert set(languages.methods) == {"blind", "floor"}
    assert languages.outputs == 20
    assert languages.classes == LANGUAGES == tuple(languages.splits["train"].features["target"].names)
    assert np.mean([len(e.source) for e in languages.examples("train")]) < 35


@pytest.mark.slow
def test_a_phrase_is_folded_to_letters_that_all_languages_share(languages):
    assert fold("piątek, 24 listopada 1989 i 09:06:46") == "piatek 0 listopada 0 i 0"
    assert fold("12,5 m² ou 1\u202f234 Größe · fjórðungur") == "0 m0 ou 0 grosse fjordungur"
    assert all(re.fullmatch(r"[a-z0 ]+", text) for text in languages.splits["train"]["text"])
    row = languages.splits["test"][3]
    assert languages.vocabulary.decode(row["source"]) == row["text"] == fold(row["phrase"])


@pytest.mark.slow
def test_a_text_that_a_person_gives_is_folded_too(languages):
    encode = languages.vocabulary.encode
    assert encode("Lundi 5 décembre 1988") == encode("lundi 0 decembre 0")
    assert UNK not in encode("Lundi 5 décembre 1988")


@pytest.mark.slow
def test_no_phrase_reads_the_same_twice(languages):
    texts = [text for split in languages.splits.values() for text in split["text"]]
    assert len(set(texts)) == len(texts) == 10_000


@pytest.mark.slow
def test_neither_one_token_nor_a_bag_of_them_solves_it(languages):
    """Accuracy on test: the best single character, and naive Bayes over all of them."""
    train, test = (_counts(languages, split) for split in ("train", "test"))

    share = np.stack([(train[0][train[1] == c] > 0).mean(0) for c in range(20)])  # class, token
    guess_if_there, guess_if_not = share.argmax(0), (1 - share).argmax(0)
    guesses = np.where(test[0] > 0, guess_if_there, guess_if_not)
    single = (guesses == test[1][:, None]).mean(0).max()

    per_class = np.stack([train[0][train[1] == c].sum(0) for c in range(20)]) + 1
    bag = ((test[0] @ np.log(per_class / per_class.sum(1, keepdims=True)).T).argmax(1) == test[1]).mean()

    print(f"single token {single:.3f}, naive Bayes {bag:.3f}")
    assert single < 0.12
    assert 0.5 < bag < 0.75


def _counts(corpus, split):
    """Token counts (example, token) and classes (example) of a split."""
    examples = corpus.examples(split)
    counts = np.stack([np.bincount(e.source, minlength=len(corpus.vocabulary)) for e in examples])
    return counts, np.array([e.target for e in examples])


def test_it_is_a_function_of_its_options():
    few = {"languages": ["en", "fr", "de"], "phrases": 20}
    assert cldr_languages(**few).digest == cldr_languages(**few).digest
    assert cldr_languages(**few, seed=1).digest != cldr_languages(**few).digest


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"languages": ["en", "xx"]}, "data.languages must be a CLDR language code"),
        ({"languages": ["en", "en"]}, "data.languages must be at least two different languages; got en, en"),
        ({"kinds": ["names"]}, "data.kinds must be one or more of"),
        ({"phrases": 100, "kinds": "time"}, "data.phrases must be at most the number of distinct phrases"),
    ],
)
def test_bad_options_get_one_sentence(options, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        cldr_languages(**options)
