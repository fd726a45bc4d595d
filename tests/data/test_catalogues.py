import re
from importlib.metadata import version

import pytest

from normexp.data.catalogues import catalogues
from normexp.data.messages import reading
from normexp.data.ngrams import held_out
from normexp.data.vocabulary import EOS, UNK

SMALL = {"packages": ["django", "allauth"], "source": "fr", "target": "de"}


@pytest.fixture(scope="module")
def corpus():
    return catalogues(**SMALL)


def rows(corpus):
    return [(name, row) for name, split in corpus.splits.items() for row in split]


@pytest.mark.slow
def test_two_foreign_languages_meet_in_the_english(corpus):
    pairs = {(row["translation"]["fr"], row["translation"]["de"]) for _, row in rows(corpus)}
    assert ("Lundi", "Montag") in {(a.capitalize(), b) for a, b in pairs}
    assert len(pairs) == len(rows(corpus)) > 700
    assert corpus.splits["train"].num_rows > 0.7 * len(pairs)
    assert all(a.casefold() != b.casefold() for a, b in pairs)


@pytest.mark.slow
def test_no_text_is_in_two_splits(corpus):
    for language in ("fr", "de"):
        places = {}
        for name, row in rows(corpus):
            if text := reading(row["translation"][language]):
                assert places.setdefault(text, name) == name


@pytest.mark.slow
def test_ids_are_those_of_the_texts(corpus):
    vocabulary = corpus.vocabulary
    for name, row in rows(corpus):
        for side, language in (("source", "fr"), ("target", "de")):
            assert row[side] == [*vocabulary.encode(row["translation"][language]), EOS]
            assert len(row[side]) <= 40
            assert name != "train" or UNK not in row[side]
    assert any(UNK in row["source"] for name, row in rows(corpus) if name == "test")


def test_placeholders_are_the_same_on_both_sides(corpus):
    def found(text):
        return sorted(re.findall(r"\bX\d+\b", text))

    sides = [tuple(map(found, row["translation"].values())) for _, row in rows(corpus)]
    assert all(a == b for a, b in sides)
    assert sum(bool(a) for a, _ in sides) > 50
    assert not any(re.search(r"%\(|%s|\{\}|</", str(row["translation"])) for _, row in rows(corpus))


def test_blind_is_the_best_n_gram(corpus):
    train, valid = ([row["target"] for row in corpus.splits[name]] for name in ("train", "valid"))
    measured = held_out(train, valid, len(corpus.vocabulary), 4)
    baselines = corpus.baselines_for("translation")
    assert baselines["blind"] == pytest.approx(min(measured.values()))
    assert baselines["bar"] == pytest.approx(baselines["blind"] / 2)
    assert baselines["floor"] == 0
    assert corpus.methods["blind"].startswith("estimate")


@pytest.mark.slow
def test_versions_are_those_of_what_was_read(corpus):
    assert corpus.sources == {"django": version("django"), "allauth": version("django-allauth")}
    both = ["django", "jupyterlab_language_pack_fr_FR"]
    assert set(catalogues("en", "de", packages=both).sources) == {"django"}


@pytest.mark.slow
def test_it_is_a_function_of_its_options(corpus):
    again, other = catalogues(**SMALL), catalogues(**SMALL, seed=1)
    assert again.digest == corpus.digest != other.digest
    held = [{tuple(p.values()) for p in each.splits["test"]["translation"]} for each in (corpus, other)]
    assert held[0] == held[1]


@pytest.mark.slow
def test_characters_as_tokens():
    corpus = catalogues(**SMALL, tokens="characters", longest=30)
    row = corpus.splits["train"][0]
    assert corpus.vocabulary.decode(row["target"]) == row["translation"]["de"]
    assert max(map(len, corpus.splits["train"]["target"])) <= 30


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"target": "en"}, "data.source and data.target must differ; got 'en' twice"),
        ({"target": "xx"}, "in common in django, allauth; got en and xx, with 0"),
        ({"tokens": "syllables"}, "data.tokens must be one of words, characters; got syllables"),
        ({"longest": 0}, "data.longest must be at least 1; got 0"),
        (
            {"packages": ["no_such_package"]},
            "got no_such_package; pip install 'normexp[text]' installs the default ones",
        ),
    ],
)
def test_bad_options_get_one_sentence(options, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        catalogues(**{"packages": ["django", "allauth"]} | options)
