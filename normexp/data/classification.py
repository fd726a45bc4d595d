"""Classification: which language a CLDR phrase is written in."""

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any
from unicodedata import combining, normalize

from datasets import ClassLabel, Features, Sequence, Value

from normexp.data.baselines import class_prior
from normexp.data.corpus import Corpus, build_corpus
from normexp.data.phrases import check_kinds, check_language, write
from normexp.data.splits import collect
from normexp.data.vocabulary import EOS, Vocabulary, characters, join_characters

LANGUAGES = (
    *("en", "de", "nl", "da", "sv", "is"),
    *("fr", "it", "es", "pt", "ca", "gl", "ro"),
    *("pl", "cs", "sk", "sl", "hr"),
    *("fi", "et"),
)
# Letters that Unicode does not decompose into an ASCII letter and a mark.
WHOLE_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "ı": "i", "đ": "d", "ð": "d", "ß": "ss", "æ": "ae", "œ": "oe", "þ": "th"}
)


def fold(text: str) -> str:
    """A phrase in a-z, blanks, and 0 for any number: `lundi 5 décembre 1988` becomes `lundi 0 decembre 0`."""
    decomposed = normalize("NFKD", text.lower().translate(WHOLE_LETTERS))
    letters = "".join(character for character in decomposed if not combining(character))
    masked = re.sub(r"\d+([.,:\s]\d+)*", "0", letters)
    return re.sub(r"[^a-z0]+", " ", masked).strip()


def folded(text: str) -> list[str]:
    """The characters of a text that is not folded yet."""
    return list(fold(text))


def cldr_languages(
    languages: Iterable[str] = LANGUAGES,
    kinds: str | Iterable[str] = ("list",),
    phrases: int = 500,
    longest: int = 48,
    seed: int = 0,
) -> Corpus:
    """Which of 20 languages a CLDR phrase is in: `phrases` in each, 80 % train, 10 % valid, 10 % test.

    Every value is written in every language, so the classes are balanced, and the language shows only in the wording,
    not in what is said. Tokens are characters after `fold`, so no accent, digit or punctuation mark gives the language
    away. A value is kept if it reads differently in all languages (otherwise the answer would be ambiguous), if none of
    these readings occurred before, and if none is longer than `longest` characters. Values (two or three dates, times,
    units or durations) are held out in all languages at once; words and templates are shared by all splits.

    Baselines: the class prior, which is also `blind`; floor 0, because no two languages share a phrase.

    With the defaults, 10,000 phrases of 31 characters on average. Accuracy on test: chance 5 %; the best single
    question "does this character occur?" 9 %; naive Bayes over a bag of characters 67 %
    (`pytest -s tests/data/test_classification.py` prints both).

    Raises ValueError for an unknown or repeated language, an unknown kind, or more phrases than there are.
    """
    codes = tuple(languages)
    if len(codes) < 2 or len(set(codes)) < len(codes):
        given = ", ".join(map(str, codes)) or "none"
        raise ValueError(f"data.languages must be at least two different languages; got {given}")
    locales = [check_language("data.languages", code) for code in codes]

    def row(value: tuple[str, Any]) -> list[tuple[str, str]] | None:
        written = [write(value, locale) for locale in locales]
        read = [fold(phrase) for phrase in written]
        if not all(read) or len(set(read)) < len(read) or max(map(len, read)) > longest:
            return None
        return list(zip(written, read, strict=True))

    def readings(row: list[tuple[str, str]]) -> list[str]:
        return [read for _, read in row]

    values = collect("data.phrases", phrases, check_kinds(kinds), seed, row, readings)
    train = (read for row in values["train"] for read in readings(row))
    vocabulary = Vocabulary.of(train, characters, join_characters)
    rows: dict[str, list[dict[str, Any]]] = {
        split: [
            {"phrase": phrase, "text": read, "source": [*vocabulary.encode(read), EOS], "target": language}
            for row in found
            for language, (phrase, read) in enumerate(row)
        ]
        for split, found in values.items()
    }
    prior = class_prior([row["target"] for row in rows["train"]])
    baselines = {"class_prior": prior, "blind": prior, "floor": 0.0}
    methods = {
        "blind": "exact: the entropy of the classes in the training part",
        "floor": "exact: no two languages share a phrase",
    }
    features = Features(
        phrase=Value("string"),
        text=Value("string"),
        source=Sequence(Value("int32")),
        target=ClassLabel(names=list(codes)),
    )
    vocabulary = replace(vocabulary, split=folded)  # a person's text is not folded yet
    return build_corpus("classification", rows, features, vocabulary, codes, baselines, methods=methods)
