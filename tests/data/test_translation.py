import re
import subprocess
import sys
from random import Random

import pytest

from normexp.data.phrases import KINDS, draw
from normexp.data.splits import split_of
from normexp.data.translation import cldr_phrases
from normexp.data.vocabulary import EOS, UNK, join_words, words

ALL = tuple(KINDS)


@pytest.fixture(scope="module")
def dates():
    return cldr_phrases()


@pytest.fixture(scope="module")
def mixed():
    return cldr_phrases(kinds=ALL, pairs=3000)


def test_the_default_is_the_task_that_was_measured(dates):
    assert dates.splits.num_rows == {"train": 8000, "valid": 1000, "test": 1000}
    assert len(dates.vocabulary) == 53
    assert dates.baselines == pytest.approx(
        {"unigram": 2.931, "position_only": 1.891, "target_bigram": 2.119}, abs=1e-3
    )
    examples = dates.examples("train")
    assert sum(len(e.source) for e in examples) / 8000 == pytest.approx(10.71, abs=0.01)
    assert sum(len(e.target) for e in examples) / 8000 == pytest.approx(8.71, abs=0.01)


def test_a_pair_is_one_value_in_two_languages(dates):
    row = dates.splits["train"][0]
    assert row["translation"] == {"en": "Monday, December 5, 2050", "fr": "lundi 5 décembre 2050"}
    assert row["source"][-1] == row["target"][-1] == EOS
    assert dates.vocabulary.decode(row["source"]) == "monday , december 5 , 2050"
    for pair in dates.splits["test"]["translation"]:
        assert sorted(re.findall(r"\d+", pair["en"])) == sorted(re.findall(r"\d+", pair["fr"]))


@pytest.mark.parametrize("name", ["dates", "mixed"])
def test_decoding_gives_every_phrase_back(name, request):
    corpus = request.getfixturevalue(name)
    for row in corpus.splits["train"].select(range(1000)):
        for side, language in (("source", "en"), ("target", "fr")):
            assert corpus.vocabulary.decode(row[side]) == join_words(words(row["translation"][language]))
    unknown = sum(e.source.count(UNK) + e.target.count(UNK) for e in corpus.examples("test"))
    assert unknown == 0


@pytest.mark.parametrize("name", ["dates", "mixed"])
def test_no_phrase_stands_in_two_splits(name, request):
    splits = request.getfixturevalue(name).splits
    for side in ("source", "target"):
        read = {split: {tuple(ids) for ids in splits[split][side]} for split in splits}
        assert all(len(read[split]) == len(splits[split]) for split in splits)
        assert not read["train"] & read["valid"]
        assert not read["train"] & read["test"]
        assert not read["valid"] & read["test"]


def test_a_held_out_value_stays_held_out_for_every_seed_size_and_language(dates):
    train = {pair["en"] for pair in dates.splits["train"]["translation"]}
    other = cldr_phrases(target="de", pairs=2000, seed=7)
    held_out = {pair["en"] for pair in other.splits["test"]["translation"]}
    assert len(held_out) == 200
    assert not train & held_out
    values = [draw(Random(seed), ALL) for seed in range(2000)]
    assert sum(split_of(value) == "train" for value in values) == pytest.approx(1600, abs=60)


def test_all_kinds_are_there(mixed):
    kinds = mixed.splits["train"]["kind"]
    assert all(kinds[:].count(kind) > 400 for kind in ALL)


def test_a_corpus_is_a_function_of_its_options():
    code = "from normexp.data.translation import cldr_phrases as c; print(c(kinds={}, pairs=200).digest)"
    here = cldr_phrases(kinds=["list", "date"], pairs=200)
    there = subprocess.run(
        [sys.executable, "-c", code.format(["date", "list"])], capture_output=True, text=True, check=True
    )
    assert there.stdout.strip() == here.digest
    assert cldr_phrases(kinds=["list", "date"], pairs=200, seed=1).digest != here.digest


@pytest.mark.parametrize(("source", "target"), [("en", "de"), ("ja", "hi"), ("ar", "pt_BR")])
def test_any_language_pair_works(source, target):
    corpus = cldr_phrases(source, target, kinds=ALL, pairs=300)
    assert len(corpus.splits["train"]) == 240
    assert set(corpus.splits["train"][0]["translation"]) == {source, target}
    assert corpus.baselines["target_bigram"] < corpus.baselines["unigram"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"source": "xx"}, "data.source must be a CLDR language code such as en, fr or pt_BR, not 'xx'."),
        ({"target": False}, "data.target must be a CLDR language code such as en, fr or pt_BR, not False."),
        ({"target": "en"}, "data.source and data.target must be two languages, not 'en' twice."),
        ({"kinds": ["dates"]}, "data.kinds must name some of date, time, unit, duration, list, not dates."),
        ({"kinds": []}, "data.kinds must name some of date, time, unit, duration, list, not nothing."),
        ({"pairs": 3}, "data.pairs must be a whole number of at least 10, not 3."),
        ({"kinds": "duration", "pairs": 20_000}, "data.pairs asks for 20000 distinct phrases"),
    ],
)
def test_bad_options_get_one_sentence(options, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        cldr_phrases(**options)
