import math
import re
from random import Random

import numpy as np
import pytest

from normexp.data.grammar import Grammar, agrees, synchronous_grammar
from normexp.data.vocabulary import UNK

SMALL = {"nouns": 6, "verbs": 4, "adjectives": 3, "prepositions": 2, "exponent": 1.0, "depth": 2, "noise": 0.1}


@pytest.fixture(scope="module")
def corpus():
    return synchronous_grammar()


@pytest.fixture(scope="module")
def rows(corpus):
    return [row for split in corpus.splits.values() for row in split.to_list()]


def by_rules(source, gender):
    """The translation in first forms, worked out from the words of the source alone."""
    verb = next(i for i, word in enumerate(source) if word[0] == "v")
    subject, other = source[:verb], source[verb + 1 :]
    head = next(word for word in subject if word[0] == "n")
    rank = int(source[verb][1:])
    agreement = gender[int(head[1:])] if agrees(rank) else ""

    def phrase(words):
        place = next((i for i, word in enumerate(words) if word[0] == "p"), len(words))
        noun = int(words[place - 1][1:])
        adjectives = [f"A{word[1:]}{gender[noun]}" for word in words[1 : place - 1]]
        inner = [*phrase(words[place + 1 :]), f"P{words[place][1:]}"] if place < len(words) else []
        return [*inner, f"D{gender[noun]}", f"N{noun}", *adjectives]

    return [*phrase(other), f"V{rank}{agreement}", *phrase(subject)]


@pytest.mark.slow
def test_the_default_as_described(corpus):
    assert corpus.splits.num_rows == {"train": 8000, "valid": 1000, "test": 1000}
    assert corpus.outputs == len(corpus.vocabulary) == 2152
    assert np.mean([len(e.source) for e in corpus.examples("train")]) == pytest.approx(14.0, abs=0.15)
    expected = {"unigram": 4.80, "position_only": 4.50, "target_bigram": 3.53}
    expected |= {"blind": 3.011, "floor": 0.113, "bar": 1.562}
    assert corpus.baselines_for("translation") == pytest.approx(expected, abs=0.005)
    assert corpus.baselines_for("language_modelling")["floor"] == corpus.baselines["blind"]
    assert all(how.startswith("exact") for how in corpus.methods.values())


@pytest.mark.slow
def test_every_translation_follows_the_rules(corpus, rows):
    gender = Grammar(400, 100, 60, 12, 1.0, 2, 0.05).gender
    for row in rows[:2000]:
        texts = row["translation"]
        first_forms = [word.removesuffix("x") for word in texts["target"].split()]
        assert first_forms == by_rules(texts["source"].split(), gender)
        assert corpus.vocabulary.decode(row["source"]) == texts["source"]
        assert corpus.vocabulary.decode(row["target"]) == texts["target"]
        assert UNK not in row["source"] + row["target"]


@pytest.mark.slow
def test_no_source_sentence_is_in_two_splits(corpus):
    sources = {name: set(map(tuple, split["source"])) for name, split in corpus.splits.items()}
    assert not sources["train"] & (sources["valid"] | sources["test"])
    assert not sources["valid"] & sources["test"]


@pytest.mark.slow
def test_columns_for_bands(rows):
    for row in rows[:2000]:
        words = row["translation"]["source"].split()
        verb = next(i for i, word in enumerate(words) if word[0] == "v")
        head = next(i for i, word in enumerate(words) if word[0] == "n")
        assert row["distance"] == (verb - head if agrees(int(words[verb][1:])) else None)
        assert row["rarest"] == max(int(word[1:]) for word in words if word[0] in "nav")
        assert row["depth"] == max(sum(word[0] == "p" for word in part) for part in (words[:verb], words[verb:]))
    assert {row["depth"] for row in rows} == {0, 1, 2}
    assert {row["distance"] for row in rows} >= {None, 1, 4, 7}


def test_half_of_the_verbs_agree_and_genders_are_lexical():
    grammar = Grammar(**SMALL)
    assert set(grammar.gender) <= set("fmn")
    assert grammar.gender == Grammar(**SMALL).gender
    assert [agrees(verb) for verb in range(4)] == [True, False, True, False]
    assert len(set(grammar.tokens())) == len(grammar.tokens())


def test_words_follow_zipfs_law(rows):
    nouns = [int(word) for row in rows for word in re.findall(r"n(\d+)", row["translation"]["source"])]
    counts = np.bincount(nouns, minlength=400)
    expected = len(nouns) / np.arange(1, 401) / (1 / np.arange(1, 401)).sum()
    assert counts[:5] == pytest.approx(expected[:5], rel=0.05)
    assert counts[200:].sum() == pytest.approx(expected[200:].sum(), rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize(("depth", "exponent", "noise"), [(2, 1.0, 0.1), (0, 0.0, 0.5), (3, 1.5, 0.0)])
def test_blind_and_floor_are_mean_log_probabilities(depth, exponent, noise):
    """The probability of every draw, counted along the way, gives the entropies that are stated."""
    grammar = Grammar(**SMALL | {"depth": depth, "exponent": exponent, "noise": noise})
    weights = {letter: lexicon.weights() for letter, lexicon in grammar.lexicon.items()}
    random = Random(0)
    nats = forms = tokens = 0.0
    for _ in range(8000):
        sentence = grammar.draw(random)
        words, target = grammar.source(sentence), grammar.target(sentence, random)
        nats -= sum(math.log(weights[word[0]][int(word[1:])]) for word in words if word != "the")
        subject, _, other = sentence
        for head in (subject, other):
            nats += math.log(3) * len(head.chain())  # adjectives: 0, 1 or 2
            nats += math.log(2) * min(len(head.chain()), depth)  # nested or not
        for word in target:
            if word[0] in "NAV":
                share = noise if word.endswith("x") else 1 - noise
                forms -= math.log(share)
        tokens += len(target) + 1
    assert tokens / 8000 == pytest.approx(grammar.expected_tokens(), rel=0.02)
    assert (nats + forms) / 8000 == pytest.approx(grammar.target_entropy(), rel=0.02)
    floor = grammar.noise_entropy() * grammar.expected_content() / grammar.expected_tokens()
    assert forms / tokens == pytest.approx(floor, rel=0.02)


@pytest.mark.slow
def test_a_target_reveals_its_derivation():
    """Otherwise the entropy of targets would be less than that of derivations."""
    grammar, random = Grammar(**SMALL | {"noise": 0.0}), Random(1)
    sources: dict[str, str] = {}
    for _ in range(20_000):
        sentence = grammar.draw(random)
        source, target = " ".join(grammar.source(sentence)), " ".join(grammar.target(sentence, random))
        assert sources.setdefault(target, source) == source


def test_the_floor_is_zero_without_noise():
    corpus = synchronous_grammar(noise=0.0, pairs=200)
    assert corpus.baselines["floor"] == 0
    assert not any("x" in pair["target"] for pair in corpus.splits["train"]["translation"])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"nouns": 1, "verbs": 1, "adjectives": 1, "depth": 0},
            "data.nouns and data.verbs must give sentences for every split; got 1 and 1",
        ),
        ({"nouns": 0}, "data.nouns must be at least 1; got 0"),
        ({"exponent": -1.0}, "data.exponent must be at least 0; got -1.0"),
        ({"depth": -1}, "data.depth must be at least 0; got -1"),
        ({"noise": 0.6}, "data.noise must be between 0 and 0.5; got 0.6"),
        ({"pairs": 9}, "data.pairs must be at least 10; got 9"),
    ],
)
def test_bad_options_get_one_sentence(options, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        synchronous_grammar(**options)
