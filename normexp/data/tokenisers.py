"""Tokenisers for data from outside: byte-pair trained on the training part, characters, words, bytes, a tokenizer.json.

Ids 0 to 3 are the special tokens of `normexp.data.vocabulary` whatever the tokeniser; its own tokens follow. A special
token that is written out in a text, such as <eos>, is text.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer

from normexp.data.vocabulary import (
    BOS,
    EOS,
    PAD,
    SPECIAL,
    Vocabulary,
    characters,
    join_characters,
    join_words,
    words,
)
from normexp.errors import ConfigError, line_of

SPLITTERS: dict[str, tuple[Callable[[str], list[str]], Callable[[Iterable[str]], str]]] = {
    "words": (words, join_words),
    "characters": (characters, join_characters),
}
KINDS = ("byte_pair", "bytes", *SPLITTERS)
BYTES = 256


@dataclass(frozen=True)
class Bytes(Vocabulary):
    """The bytes of a text in UTF-8."""

    tokens: tuple[str, ...] = SPECIAL + tuple(f"<0x{byte:02X}>" for byte in range(BYTES))

    def encode(self, text: str) -> list[int]:
        return [byte + len(SPECIAL) for byte in text.encode()]

    def decode(self, ids: Sequence[int]) -> str:
        known = (i - len(SPECIAL) for i in _before_eos(ids))
        return bytes(byte for byte in known if byte >= 0).decode(errors="replace")


@dataclass(frozen=True)
class Pieces(Vocabulary):
    """The tokens of a tokeniser of the `tokenizers` library, in the order of its ids, after the special ones."""

    tokenizer: Tokenizer = field(default_factory=lambda: Tokenizer(BPE()))

    @classmethod
    def of_tokenizer(cls, tokenizer: Tokenizer) -> "Pieces":
        """Its vocabulary, added tokens included."""
        tokenizer.no_padding()
        tokenizer.no_truncation()
        by_id = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
        return cls(SPECIAL + tuple(token for token, _ in by_id), tokenizer=tokenizer)

    @cached_property
    def _number(self) -> NDArray[np.int64]:
        """Our id for each of the tokeniser's."""
        own = sorted(self.tokenizer.get_vocab().values())
        table = np.zeros(own[-1] + 1, dtype=np.int64)
        table[own] = np.arange(len(SPECIAL), len(self))
        return table

    def encode(self, text: str) -> list[int]:
        return self.encode_all([text])[0]

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        try:
            found = self.tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        except Exception as error:  # the library raises nothing more specific
            raise ConfigError(f"data.tokens cannot encode all texts ({line_of(error)})") from error
        return [self._number[each.ids].tolist() for each in found]

    def decode(self, ids: Sequence[int]) -> str:
        pieces = [self.tokens[i] for i in _before_eos(ids) if i not in (PAD, BOS)]
        decoder = self.tokenizer.decoder
        text: str = decoder.decode(pieces) if decoder else " ".join(pieces)
        return text


def build(kind: str, size: int, texts: Iterable[list[str]], where: str) -> Vocabulary:
    """The vocabulary of a kind in KINDS, or of a tokenizer.json, with `size` tokens at most.

    texts: of the training part, in batches; bytes and a tokenizer.json do not read them. Where there are more words or
    characters than that, the most frequent are kept and the others become <unk>.

    Raises ConfigError for an unknown kind, a file that cannot be read, and a size that is too small.
    """
    if kind == "bytes":
        return Bytes()
    if kind == "byte_pair":
        return _byte_pair(size, texts)
    if kind in SPLITTERS:
        split, join = SPLITTERS[kind]
        counts = Counter(token for batch in texts for text in batch for token in split(text))
        most = sorted(counts, key=lambda token: (-counts[token], token))[: size - len(SPECIAL)]
        return Vocabulary(SPECIAL + tuple(sorted(most)), split, join)
    path = Path(where, Path(kind).expanduser())
    if path.suffix != ".json":
        raise ConfigError(f"data.tokens must be one of {', '.join(KINDS)}, or the path of a tokenizer.json; got {kind}")
    return _from_file(path)


def smallest(kind: str) -> int:
    """The fewest tokens that a vocabulary of this kind can have."""
    return len(SPECIAL) + (BYTES if kind == "byte_pair" else 1)


def _byte_pair(size: int, texts: Iterable[list[str]]) -> Pieces:
    """Byte-level byte-pair encoding: every text can be written, and decoding gives it back to the letter."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevelDecoder()
    trainer = BpeTrainer(
        vocab_size=size - len(SPECIAL), initial_alphabet=sorted(ByteLevel.alphabet()), show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return Pieces.of_tokenizer(tokenizer)


def _from_file(path: Path) -> Pieces:
    if not path.is_file():
        raise ConfigError(f"data.tokens must be an existing tokenizer.json; got {path}")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing more specific
        reason = " ".join(str(error).split())
        raise ConfigError(f"data.tokens={path} is not a tokenizer.json of the tokenizers library ({reason})") from error
    if not tokenizer.get_vocab_size():
        raise ConfigError(f"data.tokens={path} must have tokens; it has none")
    return Pieces.of_tokenizer(tokenizer)


def save(vocabulary: Vocabulary, kind: str, folder: Path) -> None:
    """Write a vocabulary that `load` reads again."""
    if isinstance(vocabulary, Pieces):
        (folder / "tokenizer.json").write_text(vocabulary.tokenizer.to_str(), encoding="utf-8")
    else:
        text = json.dumps({"kind": kind, "tokens": vocabulary.tokens}, ensure_ascii=False)
        (folder / "vocabulary.json").write_text(text, encoding="utf-8")


def load(folder: Path) -> Vocabulary:
    """The vocabulary that `save` wrote."""
    if (folder / "tokenizer.json").is_file():
        return Pieces.of_tokenizer(Tokenizer.from_file(str(folder / "tokenizer.json")))
    stored = json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))
    if stored["kind"] == "bytes":
        return Bytes()
    return Vocabulary(tuple(stored["tokens"]), *SPLITTERS[stored["kind"]])


def _before_eos(ids: Sequence[int]) -> list[int]:
    read = list(ids)
    return read[: read.index(EOS)] if EOS in read else read
