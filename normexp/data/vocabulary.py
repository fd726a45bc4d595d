"""Text to token ids and back: words and single digits, or characters."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from unicodedata import category, normalize

PAD, BOS, EOS, UNK = range(4)
SPECIAL = ("<pad>", "<bos>", "<eos>", "<unk>")


def words(text: str) -> list[str]:
    """Lower-cased words; every digit and every punctuation mark is a token of its own.

    One token per digit keeps the vocabulary small and makes numbers something to copy. White space and invisible
    formatting characters are dropped.
    """
    return [token for piece in text.lower().split() for token in _tokens(piece)]


@lru_cache(maxsize=1 << 16)
def _tokens(piece: str) -> tuple[str, ...]:
    tokens: list[str] = []
    inside = False
    for character in normalize("NFC", piece):
        kind = category(character)
        if kind == "Cf":
            continue
        letter = kind[0] in "LM"  # marks belong to the word: the vowel signs of Hindi, Thai, ...
        if letter and inside:
            tokens[-1] += character
        else:
            tokens.append(character)
        inside = letter
    return tuple(tokens)


def join_words(tokens: Iterable[str]) -> str:
    """Tokens with a space between them, and none between digits: `march 4 , 1987`."""
    return re.sub(r"(?<=\d) (?=\d)", "", " ".join(tokens))


def characters(text: str) -> list[str]:
    """Every character, including white space."""
    return list(text)


def join_characters(tokens: Iterable[str]) -> str:
    """The characters, without anything in between."""
    return "".join(tokens)


@dataclass(frozen=True)
class Vocabulary:
    """Tokens by id, after the special ones: <pad> 0, <bos> 1, <eos> 2, <unk> 3."""

    tokens: tuple[str, ...]
    split: Callable[[str], list[str]] = words
    join: Callable[[Iterable[str]], str] = join_words

    @classmethod
    def of(
        cls,
        texts: Iterable[str],
        split: Callable[[str], list[str]] = words,
        join: Callable[[Iterable[str]], str] = join_words,
    ) -> "Vocabulary":
        """The vocabulary of all tokens in `texts`, in alphabetical order."""
        return cls(SPECIAL + tuple(sorted({token for text in texts for token in split(text)})), split, join)

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def ids(self) -> dict[str, int]:
        """Token to id."""
        return {token: i for i, token in enumerate(self.tokens)}

    def encode(self, text: str) -> list[int]:
        """The ids of a text, without <bos> and <eos>; <unk> for tokens that are not in the vocabulary."""
        return [self.ids.get(token, UNK) for token in self.split(text)]

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of many texts."""
        return [self.encode(text) for text in texts]

    def decode(self, ids: Sequence[int]) -> str:
        """The text up to the first <eos>, without <pad> and <bos>."""
        read = list(ids)
        read = read[: read.index(EOS)] if EOS in read else read
        return self.join(self.tokens[i] for i in read if i not in (PAD, BOS))
