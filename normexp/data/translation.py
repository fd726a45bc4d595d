"""Translation: the same value, written by CLDR in two languages."""

import math
from collections.abc import Iterable
from typing import Any

from datasets import Features, Sequence, Translation, Value

from normexp.data.baselines import of_targets
from normexp.data.corpus import Corpus, build_corpus
from normexp.data.phrases import check_kinds, check_language, entropies, write
from normexp.data.splits import collect
from normexp.data.vocabulary import EOS, Vocabulary, words


def cldr_phrases(
    source: str = "en",
    target: str = "fr",
    kinds: str | Iterable[str] = ("date",),
    pairs: int = 10_000,
    seed: int = 0,
) -> Corpus:
    """CLDR phrases in two languages: generated, exact, 80 % train, 10 % valid, 10 % test.

    Good for one question: does a gradient get through? Two layers solve the dates, and then the loss keeps falling.

    Values (a date, an amount with its unit, a list of these) are held out by their sha256: no value and no phrase, in
    either language, is in two splits. The templates (the order of the parts, the names of months and units) are shared
    by all splits, so this measures how well a model is trained, not how it handles new wording. A list is held out as a
    whole; its items may occur in other lists.

    Tokens are lower-cased words, single digits and punctuation marks, in one vocabulary built from the training part.
    If two values read the same in one of the languages, only the first is kept.

    Baselines: unigram, position-only and target bigram of the training part; floor 0, because the source determines the
    target. `blind` is the entropy of a phrase (its kind, and its value) over the mean length of the targets. For dates
    it is exact: 73,049 days from 1900 to 2099, equally likely, which all read differently, so ln 73,049 = 11.199 nats
    per phrase, and with 8.709 tokens 1.286 nats per token. For times and durations it is exact as well. For units,
    lists and mixtures it is an estimate, good to about 0.01 nats per token: it neglects that values are drawn without
    replacement, and how long the lists of the sample are. A model that learnt the training part by heart could fall
    below it (to ln 8,000 / 8.709 = 1.032 for the dates), but not within a few epochs.

    The default, 10,000 dates en-fr: 53 tokens; with <eos>, sources have 10.7 tokens and targets 8.7.

    Raises ValueError for an unknown language or kind, and for more pairs than there are distinct phrases.
    """
    if source == target:
        raise ValueError(f"data.source and data.target must differ; got {source!r} twice")
    locales = check_language("data.source", source), check_language("data.target", target)
    languages = source, target

    def row(value: tuple[str, Any]) -> dict[str, Any] | None:
        phrases = [write(value, locale) for locale in locales]
        if not all(phrases):
            return None
        return {"kind": value[0], "translation": dict(zip(languages, phrases, strict=True))}

    def readings(row: dict[str, Any]) -> list[tuple[str, str]]:
        return [(language, " ".join(words(text))) for language, text in row["translation"].items()]

    chosen = check_kinds(kinds)
    rows = collect("data.pairs", pairs, chosen, seed, row, readings)
    vocabulary = Vocabulary.of(text for row in rows["train"] for text in row["translation"].values())
    for split in rows.values():
        for found in split:
            found["source"], found["target"] = (
                [*vocabulary.encode(found["translation"][language]), EOS] for language in languages
            )

    targets = [found["target"] for found in rows["train"]]
    length = sum(map(len, targets)) / len(targets)
    by_kind = entropies(locales)
    nats = math.log(len(chosen)) + sum(by_kind[row["kind"]] for row in rows["train"]) / len(rows["train"])
    exact = set(chosen) <= {"date", "time", "duration"}
    how = f"{'exact' if exact else 'estimate'}: the entropy of a phrase, {nats:.3f} nats, over {length:.3f} tokens"
    baselines = of_targets(targets) | {"blind": nats / length, "floor": 0.0}
    methods = {"blind": how, "floor": "exact: the source determines the target"}
    features = Features(
        kind=Value("string"),
        translation=Translation(languages),
        source=Sequence(Value("int32")),
        target=Sequence(Value("int32")),
    )
    return build_corpus(
        "translation", rows, features, vocabulary, (), baselines, methods=methods, target_entropy=nats / length
    )
