"""Tokenisers: whatever the text, decoding gives it back, and nothing in it passes for a special token."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normexp.data import tokenisers
from normexp.data.vocabulary import BOS, EOS, PAD, SPECIAL, UNK
from normexp.errors import ConfigError

TEXTS = [["καλημέρα κόσμε", "დილა მშვიდობისა"], ["a <eos> b <pad>", "καλησπέρα κόσμε"]] * 5
plain = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def built(kind, size=400, where="."):
    return tokenisers.build(kind, size, TEXTS, where)


@pytest.mark.parametrize("kind", ["byte_pair", "bytes"])
@given(text=plain)
def test_any_text_survives(kind, text):
    vocabulary = built(kind)
    ids = vocabulary.encode(text)
    assert vocabulary.decode([BOS, *ids, EOS, PAD]) == text
    assert not set(ids) & {PAD, BOS, EOS, UNK}


@pytest.mark.parametrize("kind", tokenisers.KINDS)
def test_a_stored_vocabulary_is_the_same(kind, tmp_path):
    vocabulary = built(kind)
    tokenisers.save(vocabulary, kind, tmp_path)
    again = tokenisers.load(tmp_path)
    assert again.tokens == vocabulary.tokens
    for text in TEXTS[1]:
        assert again.encode(text) == vocabulary.encode(text)
        assert again.decode(again.encode(text)) == vocabulary.decode(vocabulary.encode(text))


@pytest.mark.parametrize("kind", tokenisers.KINDS)
def test_many_texts_at_once_are_the_same_as_one_by_one(kind):
    vocabulary = built(kind)
    assert vocabulary.encode_all(TEXTS[0]) == [vocabulary.encode(text) for text in TEXTS[0]]


def test_training_twice_gives_the_same_tokeniser():
    assert built("byte_pair").tokens == built("byte_pair").tokens
    assert "ĠÎºÏĮÏĥÎ¼Îµ" in built("byte_pair").tokens  # " κόσμε" in bytes


def test_the_most_frequent_words_are_kept():
    vocabulary = tokenisers.build("words", 6, [["b a b", "c b a"]], ".")
    assert vocabulary.tokens == (*SPECIAL, "a", "b")
    assert vocabulary.encode("a c") == [4, UNK]


def test_a_tokenizer_json_is_read(tmp_path):
    tokenisers.save(built("byte_pair"), "byte_pair", tmp_path)
    vocabulary = tokenisers.build("tokenizer.json", 400, [], str(tmp_path))
    assert vocabulary.tokens == built("byte_pair").tokens


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("syllables", "data.tokens must be one of byte_pair, .*tokenizer.json; got syllables"),
        ("missing.json", "data.tokens must be an existing tokenizer.json; got .*missing.json"),
        ("other.json", "other.json is not a tokenizer.json of the tokenizers library"),
    ],
)
def test_what_is_no_tokeniser_is_refused(kind, message, tmp_path):
    (tmp_path / "other.json").write_text(json.dumps({"version": "1.0"}))
    with pytest.raises(ConfigError, match=message):
        built(kind, where=str(tmp_path))
