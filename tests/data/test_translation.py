import datetime
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from math import log
from random import Random

import pytest
from babel import Locale

from normexp.data.phrases import AMOUNTS, DAYS, FIRST_DAY, KINDS, SPANS, UNITS, draw, entropies, write
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


@pytest.mark.slow
def test_the_default_is_the_task_that_was_measured(dates):
    assert dates.splits.num_rows == {"train": 8000, "valid": 1000, "test": 1000}
    assert len(dates.vocabulary) == 53
    plug_in = {"unigram": 2.931, "position_only": 1.891, "target_bigram": 2.119}
    blind = log(73_049) / 8.709
    translation = plug_in | {"blind": blind, "floor": 0, "bar": blind / 2}
    assert dates.baselines_for("translation") == pytest.approx(translation, abs=1e-3)
    language = plug_in | {"blind": 1.891, "floor": blind, "bar": 2.119}
    assert dates.baselines_for("language_modelling") == pytest.approx(language, abs=1e-3)
    assert dates.methods["blind"].startswith("exact")
    assert dates.outputs == 53
    examples = dates.examples("train")
    assert sum(len(e.source) for e in examples) / 8000 == pytest.approx(10.71, abs=0.01)
    assert sum(len(e.target) for e in examples) / 8000 == pytest.approx(8.71, abs=0.01)


@pytest.mark.slow
def test_a_pair_is_one_value_in_two_languages(dates):
    row = dates.splits["train"][0]
    assert row["translation"] == {"en": "Monday, December 5, 2050", "fr": "lundi 5 décembre 2050"}
    assert row["source"][-1] == row["target"][-1] == EOS
    assert dates.vocabulary.decode(row["source"]) == "monday , december 5 , 2050"
    for pair in dates.splits["test"]["translation"]:
        assert sorted(re.findall(r"\d+", pair["en"])) == sorted(re.findall(r"\d+", pair["fr"]))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dates", "mixed"])
def test_decoding_gives_every_phrase_back(name, request):
    corpus = request.getfixturevalue(name)
    for row in corpus.splits["train"].select(range(1000)):
        for side, language in (("source", "en"), ("target", "fr")):
            assert corpus.vocabulary.decode(row[side]) == join_words(words(row["translation"][language]))
    unknown = sum(e.source.count(UNK) + e.target.count(UNK) for e in corpus.examples("test"))
    assert unknown == 0


@pytest.mark.parametrize("name", ["dates", "mixed"])
def test_no_phrase_is_in_two_splits(name, request):
    splits = request.getfixturevalue(name).splits
    for side in ("source", "target"):
        read = {split: {tuple(ids) for ids in splits[split][side]} for split in splits}
        assert all(len(read[split]) == len(splits[split]) for split in splits)
        assert not read["train"] & read["valid"]
        assert not read["train"] & read["test"]
        assert not read["valid"] & read["test"]


@pytest.mark.slow
def test_a_value_is_held_out_for_every_seed_and_language(dates):
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


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"source": "xx"}, "data.source must be a CLDR language code such as en, fr or pt_BR; got 'xx'"),
        ({"target": False}, "data.target must be a CLDR language code such as en, fr or pt_BR; got False"),
        ({"target": "en"}, "data.source and data.target must differ; got 'en' twice"),
        ({"kinds": ["dates"]}, "data.kinds must be one or more of date, time, unit, duration, list; got dates"),
        ({"kinds": []}, "data.kinds must be one or more of date, time, unit, duration, list; got none"),
        ({"pairs": 3}, "data.pairs must be at least 10; got 3"),
        ({"kinds": "duration", "pairs": 20_000}, "data.pairs must be at most the number of distinct phrases"),
    ],
)
def test_bad_options_get_one_sentence(options, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        cldr_phrases(**options)


@pytest.fixture(scope="module")
def french():
    return Locale.parse("fr")


@pytest.mark.slow
def test_every_day_reads_differently(french):
    """The entropy of a date is the logarithm of the number of days only if no two days share a phrase."""
    days = (FIRST_DAY + datetime.timedelta(days=day) for day in range(DAYS))
    phrases = {" ".join(words(write(("date", day), french))) for day in days}
    assert len(phrases) == 73_049
    assert entropies([french])["date"] == pytest.approx(log(73_049))


def test_every_duration_reads_differently(french):
    values = [("duration", (amount * sign, span)) for amount in AMOUNTS for sign in (1, -1) for span in SPANS]
    assert len({" ".join(words(write(value, french))) for value in values}) == len(values)
    assert entropies([french])["duration"] == pytest.approx(log(len(values)))


@pytest.mark.slow
def test_the_entropy_of_units_counts_every_amount(french):
    amounts = [amount / tenths for amount in AMOUNTS for tenths in (1, 10)]
    counts = Counter(" ".join(words(write(("unit", (amount, unit)), french))) for amount in amounts for unit in UNITS)
    total = counts.total()
    assert entropies([french])["unit"] == pytest.approx(-sum(n / total * log(n / total) for n in counts.values()))


def test_the_entropy_of_a_list_sums_independent_choices(french):
    nats = entropies([french])
    item = log(4) + sum(nats[kind] for kind in ("date", "time", "unit", "duration")) / 4
    assert nats["list"] == pytest.approx(log(2) + log(2) + 2.5 * item)


def test_blind_of_a_mixture_counts_its_kinds(mixed, french):
    train, nats = mixed.splits["train"], entropies([french])
    total = sum(log(5) + nats[kind] for kind in train["kind"])
    assert mixed.baselines["blind"] == pytest.approx(total / sum(map(len, train["target"])))


def test_blind_is_called_an_estimate_where_it_is_one(mixed):
    assert mixed.methods["blind"].startswith("estimate")
    assert mixed.baselines["blind"] < mixed.baselines["position_only"]


def test_a_corpus_refuses_a_task_that_it_does_not_serve(dates):
    with pytest.raises(ValueError, match="made for translation; got classification"):
        dates.examples("train", "classification")
    with pytest.raises(ValueError, match="made for translation; got classification"):
        dates.baselines_for("classification")
    assert dates.examples("train", "language_modelling")[0].source == []


def test_a_corpus_must_state_blind_and_floor(dates):
    silent = replace(dates, baselines={"unigram": 2.9, "floor": 0.0})
    with pytest.raises(ValueError, match="blind is missing"):
        silent.baselines_for("translation")
