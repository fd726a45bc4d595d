"""Classification of real text: which language a message of an installed package is in."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from normexp.data.classification import fold, folded
from normexp.data.corpus import Corpus
from normexp.data.labelled import classified
from normexp.data.messages import FILLED, SOURCE, messages, splits_of
from normexp.data.packages import version_of
from normexp.data.splits import SPLITS, fingerprint
from normexp.data.vocabulary import EOS, Vocabulary, characters, join_characters

# Languages in Latin letters into which nearly every message is translated.
LANGUAGES = (
    *("en", "de", "nl", "da", "sv"),
    *("fr", "it", "es", "pt_BR", "ca", "ro"),
    *("pl", "cs", "sk", "sl", "hr"),
    *("fi", "et", "hu", "tr"),
)


def catalogue_languages(
    languages: Iterable[str] = LANGUAGES,
    packages: str | Iterable[str] = ("django", "allauth"),
    phrases: int = 400,
    shortest: int = 12,
    longest: int = 64,
    seed: int = 0,
) -> Corpus:
    """Which of 20 languages a message is in: `phrases` in each, about 80 % train, 10 % valid, 10 % test.

    Good for classification of real text: natural wording, words that languages share, and held-out messages with words
    that training never saw.

    languages: by the names of their folders, English being the language of the messages themselves. packages: by the
    names that they are imported by; `pip install 'normexp[text]'` installs the default ones. Messages are read as in
    `data=catalogues`. Tokens are characters after `fold` (a-z, blanks, 0 for any number), so no accent and no script
    gives the language away: it is meant for languages in Latin letters. A text is kept if it has between `shortest` and
    `longest` characters, and if it is a text of one language alone. seed: of which texts are kept.

    A message is held out in all languages at once, together with those that share a text with it, so the classes have
    `phrases` texts each, but not exactly as many per split.

    Baselines: the class prior, which is also `blind`; floor 0, because no two languages share a text.

    With the defaults, 8,000 texts of 29 characters on average. Accuracy on test: chance 5 %; naive Bayes over a bag of
    characters 44 %, over a bag of words 85 % (`pytest -s tests/data/test_catalogue_languages.py` prints both).

    Raises ValueError for a repeated language, a package that is not installed, or more texts than there are.
    """
    codes, chosen = tuple(languages), [packages] if isinstance(packages, str) else list(packages)
    if len(codes) < 2 or len(set(codes)) < len(codes):
        given = ", ".join(map(str, codes)) or "none"
        raise ValueError(f"data.languages must be at least two different languages; got {given}")
    if phrases < 10:
        raise ValueError(f"data.phrases must be at least 10; got {phrases}")
    found, used = messages(chosen, codes)
    read = [{code: fold(FILLED.sub(" ", texts[code])) for code in codes if code in texts} for texts in found]
    owners: dict[str, set[str]] = {}
    for texts in read:
        for code, text in texts.items():
            owners.setdefault(text, set()).add(code)
    where = splits_of([tuple(texts.items()) for texts in read])
    kept: dict[str, dict[str, str]] = {code: {} for code in codes}  # text to split
    order = sorted(range(len(read)), key=lambda i: fingerprint((seed, sorted(read[i].items()))))
    for i in order:
        for code, text in read[i].items():
            fits = shortest <= len(text) <= longest and owners[text] == {code}
            if fits and len(kept[code]) < phrases:
                kept[code].setdefault(text, where[i])
    for code in sorted(codes, key=lambda code: code == SOURCE):  # English last: it has what another language has
        if len(kept[code]) < phrases:
            raise ValueError(
                f"data.phrases must be low enough for the messages of {', '.join(chosen)}, which have "
                f"{len(kept[code])} in {code}; got {phrases}"
            )
    vocabulary = Vocabulary.of(
        (text for texts in kept.values() for text, split in texts.items() if split == "train"),
        characters,
        join_characters,
    )
    rows: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    for label, texts in enumerate(kept.values()):
        for text, split in texts.items():
            rows[split].append({"text": text, "source": [*vocabulary.encode(text), EOS], "target": label})
    if empty := [split for split in SPLITS if not rows[split]]:
        raise ValueError(f"data.phrases must be high enough for messages in {empty[0]}; got {phrases}")
    sources = {package: version_of(package) for package in sorted(used)}
    vocabulary = replace(vocabulary, split=folded)  # a person's text is not folded yet
    return classified(rows, vocabulary, codes, "exact: no two languages share a text", sources)
