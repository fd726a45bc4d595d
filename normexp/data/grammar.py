"""Translation between two made-up languages, by a synchronous grammar whose irreducible loss is known exactly.

    S  → NP₁ V NP₂          ⇒  NP₂' V' NP₁'
    NP → the A* N           ⇒  D' N' A'*
    NP → the A* N P NP      ⇒  NP' P' D' N' A'*

A source such as `the a3 n17 p2 the n5 v8 the n2` becomes `Df N2 V8m Dm N5 P2 Dm N17 A3m`: phrases in reverse order, the
inner noun phrase before the outer. Determiners and adjectives agree with the gender of their noun, a fact of the
lexicon. Every second verb agrees with the head of its subject, across whatever is nested in between. Every content word
(noun, verb, adjective) has a second form, `N17x` for `N17`, taken with probability `noise`, which nothing predicts.
"""

import math
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import Any

from datasets import Features, Sequence, Translation, Value

from normexp.data.corpus import Corpus, build_corpus
from normexp.data.ngrams import held_out
from normexp.data.splits import PATIENCE, SPLITS, sizes, split_of
from normexp.data.vocabulary import EOS, SPECIAL, Vocabulary

GENDERS = "fmn"
NESTED = 0.5  # probability that a noun phrase holds another one, as long as depth allows
ADJECTIVES = (0, 1, 2)  # of a noun, equally likely


@dataclass(frozen=True)
class Lexicon:
    """One class of words, drawn by Zipf's law: that of rank r, from 0, in proportion to (r + 1)^-exponent."""

    size: int
    exponent: float

    def weights(self) -> list[float]:
        """The probability of every rank."""
        shares = [(rank + 1) ** -self.exponent for rank in range(self.size)]
        total = sum(shares)
        return [share / total for share in shares]

    @property
    def entropy(self) -> float:
        """Nats per word."""
        return -sum(share * math.log(share) for share in self.weights() if share)


@dataclass(frozen=True)
class NounPhrase:
    """A noun, its adjectives, and the preposition and noun phrase nested in it, if any."""

    noun: int
    adjectives: tuple[int, ...]
    preposition: int = -1
    inner: "NounPhrase | None" = None

    def chain(self) -> list["NounPhrase"]:
        """This noun phrase and those nested in it, outer before inner."""
        return [self, *(self.inner.chain() if self.inner else ())]


class Grammar:
    """Both languages: they are the same for every seed, only sentences are drawn."""

    def __init__(
        self, nouns: int, verbs: int, adjectives: int, prepositions: int, exponent: float, depth: int, noise: float
    ) -> None:
        counts = {"n": nouns, "v": verbs, "a": adjectives, "p": prepositions}
        self.lexicon = {letter: Lexicon(count, exponent) for letter, count in counts.items()}
        self.cumulative = {letter: list(accumulate(words.weights())) for letter, words in self.lexicon.items()}
        self.depth, self.noise = depth, noise
        random = Random(0)
        self.gender = [random.choice(GENDERS) for _ in range(nouns)]

    def tokens(self) -> tuple[str, ...]:
        """Every word of both languages."""
        words = {letter: range(lexicon.size) for letter, lexicon in self.lexicon.items()}
        source = ["the", *(f"{letter}{rank}" for letter, ranks in words.items() for rank in ranks)]
        content = [
            *(f"N{rank}" for rank in words["n"]),
            *(f"A{rank}{gender}" for rank in words["a"] for gender in GENDERS),
            *(f"V{rank}{gender}" for rank in words["v"] for gender in (GENDERS if agrees(rank) else ("",))),
        ]
        function = [f"D{gender}" for gender in GENDERS] + [f"P{rank}" for rank in words["p"]]
        return (*source, *function, *(word + form for word in content for form in ("", "x")))

    def draw(self, random: Random) -> tuple[NounPhrase, int, NounPhrase]:
        """Subject, verb and object of a sentence."""
        subject, verb, other = self._noun_phrase(random, 0), self._word(random, "v"), self._noun_phrase(random, 0)
        return subject, verb, other

    def source(self, sentence: tuple[NounPhrase, int, NounPhrase]) -> list[str]:
        """The sentence in the source language."""
        subject, verb, other = sentence
        return [*_source(subject), f"v{verb}", *_source(other)]

    def target(self, sentence: tuple[NounPhrase, int, NounPhrase], random: Random) -> list[str]:
        """Its translation, with second forms drawn from `random`."""
        subject, verb, other = sentence
        agreement = self.gender[subject.noun] if agrees(verb) else ""
        return [
            *self._target(other, random),
            self._form(f"V{verb}{agreement}", random),
            *self._target(subject, random),
        ]

    def noise_entropy(self) -> float:
        """Nats per content word: which of its two forms is taken."""
        return -sum(share * math.log(share) for share in (self.noise, 1 - self.noise) if share)

    def expected_words(self) -> dict[str, float]:
        """Expected words per sentence, by class."""
        nouns = 2 * sum(NESTED**level for level in range(self.depth + 1))
        return {"n": nouns, "v": 1.0, "a": nouns * sum(ADJECTIVES) / len(ADJECTIVES), "p": nouns - 2}

    def expected_content(self) -> float:
        """Expected content words per sentence."""
        return sum(count for letter, count in self.expected_words().items() if letter != "p")

    def expected_tokens(self) -> float:
        """Expected tokens per sentence, in either language, with determiners and <eos>."""
        words = self.expected_words()
        return sum(words.values()) + words["n"] + 1

    def target_entropy(self) -> float:
        """Nats per target sentence: a sum over all choices, because the target reveals every one of them."""
        words = self.expected_words()
        nesting = 2 * sum(NESTED**level for level in range(self.depth)) * math.log(2)  # NESTED is a fair coin
        structure = nesting + words["n"] * math.log(len(ADJECTIVES))
        lexical = sum(count * self.lexicon[letter].entropy for letter, count in words.items())
        return structure + lexical + self.expected_content() * self.noise_entropy()

    def _noun_phrase(self, random: Random, level: int) -> NounPhrase:
        noun = self._word(random, "n")
        adjectives = tuple(self._word(random, "a") for _ in range(random.choice(ADJECTIVES)))
        if level == self.depth or random.random() >= NESTED:
            return NounPhrase(noun, adjectives)
        return NounPhrase(noun, adjectives, self._word(random, "p"), self._noun_phrase(random, level + 1))

    def _word(self, random: Random, letter: str) -> int:
        cumulative = self.cumulative[letter]
        return random.choices(range(len(cumulative)), cum_weights=cumulative)[0]

    def _form(self, word: str, random: Random) -> str:
        return word + "x" if random.random() < self.noise else word

    def _target(self, phrase: NounPhrase, random: Random) -> list[str]:
        gender = self.gender[phrase.noun]
        inner = [*self._target(phrase.inner, random), f"P{phrase.preposition}"] if phrase.inner else []
        noun = self._form(f"N{phrase.noun}", random)
        adjectives = (self._form(f"A{rank}{gender}", random) for rank in phrase.adjectives)
        return [*inner, f"D{gender}", noun, *adjectives]


def agrees(verb: int) -> bool:
    """Whether a verb agrees with its subject: every second one does, frequent or rare."""
    return verb % 2 == 0


def _source(phrase: NounPhrase) -> list[str]:
    inner = [f"p{phrase.preposition}", *_source(phrase.inner)] if phrase.inner else []
    return ["the", *(f"a{rank}" for rank in phrase.adjectives), f"n{phrase.noun}", *inner]


def _row(grammar: Grammar, sentence: tuple[NounPhrase, int, NounPhrase], source: str, random: Random) -> dict[str, Any]:
    subject, verb, other = sentence
    phrases = [*subject.chain(), *other.chain()]
    return {
        "translation": {"source": source, "target": " ".join(grammar.target(sentence, random))},
        "depth": max(len(subject.chain()), len(other.chain())) - 1,
        "distance": source.split().index(f"v{verb}") - len(subject.adjectives) - 1 if agrees(verb) else None,
        "rarest": max(verb, *(rank for phrase in phrases for rank in (phrase.noun, *phrase.adjectives))),
    }


def synchronous_grammar(
    nouns: int = 400,
    verbs: int = 100,
    adjectives: int = 60,
    prepositions: int = 12,
    exponent: float = 1.0,
    depth: int = 2,
    noise: float = 0.05,
    pairs: int = 10_000,
    seed: int = 0,
) -> Corpus:
    """Sentences of a synchronous grammar: 80 % train, 10 % valid, 10 % test.

    Good for comparing variants by their final loss: lexicon and exponent ask for capacity and rare words, `depth` for
    composition, agreement for attention over a distance, `noise` sets an irreducible loss, `pairs` asks for
    generalisation. Losses are best read as regret, loss - floor.

    Sentences are drawn independently. Source sentences are held out by their sha256, so none is in two splits; a short
    one may occur twice in one split, with other forms. Every word of both languages is in the vocabulary.

    Columns for people: `depth`, the deepest nesting in the sentence; `distance`, the source tokens from the head of the
    subject to a verb that agrees with it (1 if they are neighbours; null if the verb does not agree); `rarest`, the
    largest rank, from 0, of a content word in its class.

    Baselines: unigram, position-only and target bigram are measured on the validation part (`normexp.data.ngrams`).
    `floor` and `blind` are exact, expected nats over expected tokens: `floor` from the choice of second forms, `blind`
    from all choices, because a target sentence reveals every one of them.

    Raises ValueError for an option out of range.
    """
    for name, value in {"nouns": nouns, "verbs": verbs, "adjectives": adjectives, "prepositions": prepositions}.items():
        if value < 1:
            raise ValueError(f"data.{name} must be at least 1; got {value}")
    if exponent < 0:
        raise ValueError(f"data.exponent must be at least 0; got {exponent}")
    if depth < 0:
        raise ValueError(f"data.depth must be at least 0; got {depth}")
    if not 0 <= noise <= 0.5:
        raise ValueError(f"data.noise must be between 0 and 0.5; got {noise}")
    grammar = Grammar(nouns, verbs, adjectives, prepositions, exponent, depth, noise)
    room, random = sizes("data.pairs", pairs), Random(seed)
    rows: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    in_vain = 0
    while any(len(rows[split]) < room[split] for split in SPLITS):
        if in_vain == PATIENCE:
            raise ValueError(
                f"data.nouns and data.verbs must give sentences for every split; got {nouns} and {verbs}, of whose "
                "sentences one split has hardly any"
            )
        sentence = grammar.draw(random)
        source = " ".join(grammar.source(sentence))
        split = split_of(source)
        in_vain += 1
        if len(rows[split]) < room[split]:
            rows[split].append(_row(grammar, sentence, source, random))
            in_vain = 0

    vocabulary = Vocabulary(SPECIAL + grammar.tokens(), str.split, " ".join)
    for split_rows in rows.values():
        for row in split_rows:
            row["source"], row["target"] = ([*vocabulary.encode(text), EOS] for text in row["translation"].values())
    return build_corpus(
        "translation",
        rows,
        Features(
            translation=Translation(("source", "target")),
            depth=Value("int32"),
            distance=Value("int32"),
            rarest=Value("int32"),
            source=Sequence(Value("int32")),
            target=Sequence(Value("int32")),
        ),
        vocabulary,
        (),
        **_stated(grammar, rows, len(vocabulary)),
    )


def _stated(grammar: Grammar, rows: dict[str, list[dict[str, Any]]], vocabulary: int) -> dict[str, Any]:
    """The baselines, and how blind and floor were found."""
    form, sentence, tokens = grammar.noise_entropy(), grammar.target_entropy(), grammar.expected_tokens()
    share = grammar.expected_content() / tokens
    train, valid = ([row["target"] for row in rows[split]] for split in ("train", "valid"))
    return {
        "baselines": held_out(train, valid, vocabulary) | {"blind": sentence / tokens, "floor": form * share},
        "methods": {
            "blind": f"exact: the entropy of a target sentence, {sentence:.3f} nats, over {tokens:.3f} tokens",
            "floor": f"exact: the choice of a form, {form:.3f} nats, for {share:.1%} of the tokens",
        },
        "target_entropy": sentence / tokens,
    }
