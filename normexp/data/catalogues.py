"""Translation of real text: the messages of installed packages, as their translators wrote them."""

from collections.abc import Iterable
from typing import Any

from datasets import Features, Translation, Value
from datasets import Sequence as Listed

from normexp.data.corpus import Corpus, build_corpus
from normexp.data.messages import Texts, messages, reading, splits_of
from normexp.data.ngrams import held_out
from normexp.data.packages import version_of
from normexp.data.splits import SPLITS, fingerprint
from normexp.data.text import ORDER, TOKENS
from normexp.data.vocabulary import EOS, Vocabulary

PACKAGES = ("django", "allauth", "jupyterlab_language_pack_fr_FR", "jupyterlab_language_pack_de_DE")
FEWEST = 100  # pairs that make a corpus


def catalogues(
    source: str = "en",
    target: str = "fr",
    packages: str | Iterable[str] = PACKAGES,
    tokens: str = "words",
    longest: int = 40,
    seed: int = 0,
) -> Corpus:
    """Translated messages of packages, from one of their languages to another: about 80 % train, 10 % valid, 10 % test.

    Good for real translation without a download: free word order, rare words, and a gap between training and held-out
    text. The text is that of user interfaces: short, and little of it, so models learn it by heart within some
    hundred steps; compare variants by their validation losses.

    source, target: any two languages that the packages have, by the names of their folders (fr, pt_BR); a message that
    both have is a pair, and English is the language of the messages themselves. packages: by the names that they are
    imported by; `pip install 'normexp[text]'` installs the default ones. tokens: words or characters. longest: tokens
    of either text; longer pairs are dropped. seed: of the order of the pairs, nothing else.

    What a program fills in is X0, X1, …; tags are dropped, and so are messages with plural forms or web addresses. No
    two messages that read the same in one of the languages, but for case, digits and punctuation, are in different
    splits, and no pair occurs twice. The vocabulary is that of the training part, so held-out texts have some <unk>.

    Baselines: unigram, position-only and target bigram are measured on the validation part (`normexp.data.ngrams`).
    `blind` is an estimate, the best of these and longer n-grams. The floor is unknown, so it is 0.

    The versions of the packages are in `sources`, and so in the digest.

    Raises ValueError for a package that is not installed, and for languages with fewer than 100 pairs.
    """
    if source == target:
        raise ValueError(f"data.source and data.target must differ; got {source!r} twice")
    if tokens not in TOKENS:
        raise ValueError(f"data.tokens must be one of {', '.join(TOKENS)}; got {tokens}")
    if longest < 1:
        raise ValueError(f"data.longest must be at least 1; got {longest}")
    chosen = [packages] if isinstance(packages, str) else list(packages)
    split, join = TOKENS[tokens]
    languages = (source, target)
    found, used = messages(chosen, languages)
    pairs = _pairs(found, languages)
    pairs = [pair for pair in pairs if all(len(split(text)) < longest for text in pair)]
    if len(pairs) < FEWEST:
        raise ValueError(
            f"data.source and data.target must be languages with at least {FEWEST} messages in common in "
            f"{', '.join(chosen) or 'data.packages'}; got {source} and {target}, with {len(pairs)}"
        )
    pairs.sort(key=lambda pair: fingerprint((seed, pair)))
    where = splits_of([[(i, letters) for i, text in enumerate(pair) if (letters := reading(text))] for pair in pairs])
    texts: dict[str, list[tuple[str, str]]] = {name: [] for name in SPLITS}
    for name, pair in zip(where, pairs, strict=True):
        texts[name].append(pair)
    vocabulary = Vocabulary.of((text for pair in texts["train"] for text in pair), split, join)
    rows: dict[str, list[dict[str, Any]]] = {
        name: [
            {
                "translation": dict(zip(languages, pair, strict=True)),
                "source": [*vocabulary.encode(pair[0]), EOS],
                "target": [*vocabulary.encode(pair[1]), EOS],
            }
            for pair in found
        ]
        for name, found in texts.items()
    }
    train, valid = ([row["target"] for row in rows[name]] for name in ("train", "valid"))
    measured = held_out(train, valid, len(vocabulary), ORDER)
    blind = min(measured.values())
    baselines = {name: measured[name] for name in ("unigram", "position_only", "target_bigram")}
    return build_corpus(
        "translation",
        rows,
        Features(translation=Translation(languages), source=Listed(Value("int32")), target=Listed(Value("int32"))),
        vocabulary,
        (),
        baselines | {"blind": blind, "floor": 0.0},
        methods={
            "blind": f"estimate: the best n-gram of up to {ORDER} tokens of context, measured on the validation part",
            "floor": "unknown: nobody knows how well these messages can be translated, so it is 0",
        },
        sources={package: version_of(package) for package in sorted(used)},
    )


def _pairs(found: list[Texts], languages: tuple[str, str]) -> list[tuple[str, str]]:
    """The distinct pairs of texts that differ, of the messages that both languages have."""
    source, target = languages
    both = [(texts[source], texts[target]) for texts in found if source in texts and target in texts]
    return [pair for pair in dict.fromkeys(both) if pair[0].casefold() != pair[1].casefold()]
