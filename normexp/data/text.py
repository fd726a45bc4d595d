"""A translation corpus from pairs of texts, for data of your own."""

from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any

from datasets import Features, Value
from datasets import Sequence as Listed

from normexp.data.corpus import Corpus, build_corpus
from normexp.data.ngrams import held_out
from normexp.data.vocabulary import EOS, Vocabulary, characters, join_characters, join_words, words

TOKENS: dict[str, tuple[Callable[[str], list[str]], Callable[[Iterable[str]], str]]] = {
    "words": (words, join_words),
    "characters": (characters, join_characters),
}
ORDER = 4  # tokens of context of the longest n-gram that estimates blind


def text_pairs(pairs: Sequence[tuple[str, str]], *, tokens: str = "words", seed: int = 0) -> Corpus:
    """A corpus of (source, target) texts: 80 % train, 10 % valid, 10 % test, in an order drawn from the seed.

    Pairs with equal sources go to the same split, so that no source is both trained on and held out.
    tokens: words (lower-cased, single digits) or characters. The blind baseline is an estimate: the best of n-grams up
    to ORDER tokens of context and position-only, counted on train and measured on valid; the floor is unknown (0).
    Raises ValueError for fewer than 10 different sources, or an unknown kind of tokens.
    """
    if tokens not in TOKENS:
        raise ValueError(f"tokens must be one of {', '.join(TOKENS)}; got {tokens}")
    sources = sorted({source for source, _ in pairs})
    if len(sources) < 10:
        raise ValueError(f"a corpus must have at least 10 different sources; got {len(sources)}")
    Random(seed).shuffle(sources)
    tenth = len(sources) // 10
    split_of = {
        source: "valid" if i < tenth else "test" if i < 2 * tenth else "train" for i, source in enumerate(sources)
    }
    split, join = TOKENS[tokens]
    train = [pair for pair in pairs if split_of[pair[0]] == "train"]
    vocabulary = Vocabulary.of((text for pair in train for text in pair), split, join)
    rows: dict[str, list[dict[str, Any]]] = {"train": [], "valid": [], "test": []}
    for source, target in pairs:
        ids = {key: [*vocabulary.encode(text), EOS] for key, text in (("source", source), ("target", target))}
        rows[split_of[source]].append({"source_text": source, "target_text": target, **ids})
    targets = {name: [row["target"] for row in found] for name, found in rows.items()}
    measured = held_out(targets["train"], targets["valid"], len(vocabulary), ORDER)
    baselines = {name: measured[name] for name in ("unigram", "position_only", "target_bigram")}
    blind = min(measured.values())
    features = Features(
        source_text=Value("string"),
        target_text=Value("string"),
        source=Listed(Value("int32")),
        target=Listed(Value("int32")),
    )
    return build_corpus(
        "translation",
        rows,
        features,
        vocabulary,
        (),
        baselines | {"blind": blind, "floor": 0.0},
        methods={"blind": f"estimate: the best n-gram of up to {ORDER} tokens of context", "floor": "unknown"},
    )
