"""Language modelling on English prose: docstrings of packages that normexp depends on, in characters or byte pairs.

Files are read and parsed with `ast`, never imported. Nothing is downloaded and no text is stored; the text is that of
the installed versions, which are part of the corpus.
"""

import ast
import inspect
import re
import string
import warnings
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from datasets import Features, Sequence, Value

from normexp.data import tokenisers
from normexp.data.corpus import Corpus, build_corpus
from normexp.data.ngrams import held_out
from normexp.data.packages import folder_of, version_of
from normexp.data.splits import SPLITS, fingerprint, sizes, split_of
from normexp.data.vocabulary import SPECIAL, Vocabulary, characters, join_characters

PACKAGES = ("matplotlib", "networkx", "numpy", "pandas", "scipy", "sympy", "torch")
ALPHABET = " " + string.ascii_letters + string.digits + ",;:'()\"./-!?"
DENSITY = 0.25  # share of a file between triple quotes
MARKUP = (
    (re.compile(r":[\w:]+:`~?([^`<]+?)(?: *<[^>]*>)?`"), r"\1"),  # :func:`~numpy.sin`, :ref:`text <target>`
    (re.compile(r"`+|\*\*"), ""),
    (re.compile(r"\s+"), " "),
)
MARKED = re.compile(r"^(?:[-*>|=.#~+:]|\.\. )", re.MULTILINE)
END_OF_SENTENCE = re.compile(r"(?<=[.!?]) (?=[A-Z])")
# Five words or more of letters, figures and common punctuation; no formula, no code, no table.
SENTENCE = re.compile(r"[A-Z][a-z]*(?: [A-Za-z0-9,;:'()\"./-]+){4,}[.!?]")
CODE_LIKE = re.compile(r"[a-z][A-Z]|[a-z]\.[a-z]{3,}|//|\(\)|\w/\w+/|\d{5}")


def sentences(docstring: str) -> Iterator[str]:
    """The English sentences of a docstring, white space folded and mark-up removed.

    Lines in a row with the same indentation are one block, so what is said of a parameter counts too. Lists, examples,
    directives and headings do not.
    """
    for _, lines in groupby(inspect.cleandoc(docstring).split("\n"), _indentation):
        block = "\n".join(line.strip() for line in lines)
        if MARKED.search(block):
            continue
        for pattern, plain in MARKUP:
            block = pattern.sub(plain, block)
        for sentence in END_OF_SENTENCE.split(block.strip()):
            if SENTENCE.fullmatch(sentence) and not CODE_LIKE.search(sentence):
                yield sentence


def _indentation(line: str) -> int:
    """Blanks at the start of a line; -1 if there is nothing else."""
    return len(line) - len(line.lstrip()) if line.strip() else -1


def docstrings_of(source: str) -> Iterator[str]:
    """The docstrings of a module, its classes and its functions, in the order of the file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other people's escape sequences
        waiting: list[ast.AST] = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if docstring := ast.get_docstring(node, clean=False):
                yield docstring
            waiting += [each for each in reversed(node.body) if isinstance(each, ast.stmt)]


def files(package: str) -> list[tuple[str, Path]]:
    """The modules of an installed package without its tests, by name such as numpy/linalg/_linalg.py.

    Raises ValueError if the package is not installed.
    """
    root = folder_of(package)
    found = ((path.relative_to(root.parent), path) for path in root.rglob("*.py"))
    return [(name.as_posix(), path) for name, path in found if not {"tests", "testing"} & set(name.parts)]


def windows(named: Iterable[tuple[str, Path]], room: dict[str, int], length: int) -> dict[str, list[dict[str, Any]]]:
    """Windows of running prose, `length` characters each, until every split has as many as it needs (`room`).

    named: files in the order in which they are read; the split of a file is a function of its name. The sentences of a
    file are joined by blanks and cut, and what is left at its end is dropped. A sentence that occurs in several places
    is kept once, in the file that is read first. Files that cannot be parsed are skipped, as are those with little text
    between triple quotes: parsing them takes long and gives little.
    """
    found: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    seen = set[str]()
    for name, path in named:
        split = split_of(name)
        if len(found[split]) >= room[split]:
            continue
        source = path.read_text(encoding="utf-8", errors="replace")
        if sum(map(len, source.split('"""')[1::2])) < DENSITY * len(source):
            continue
        try:
            said = dict.fromkeys(sentence for docstring in docstrings_of(source) for sentence in sentences(docstring))
        except SyntaxError:
            continue
        text = " ".join(sentence for sentence in said if sentence not in seen)
        seen.update(said)
        starts = range(0, len(text) - length + 1, length)
        found[split] += [{"file": name, "text": text[start : start + length]} for start in starts]
        if all(len(found[split]) >= room[split] for split in SPLITS):
            break
    return {split: rows[: room[split]] for split, rows in found.items()}


def docstrings(
    packages: str | Iterable[str] = PACKAGES,
    length: int = 96,
    sequences: int = 8_000,
    tokens: str = "characters",
    vocabulary: int = 1000,
    seed: int = 0,
) -> Corpus:
    """English prose for a decoder alone: `sequences` windows, 80 % train, 10 % valid, 10 % test.

    Good for comparing variants by their final loss on real text, whose loss cannot saturate: rare words, long-range
    structure and noise. It is technical English.

    tokens: characters (letters, digits, blanks and common punctuation marks, 75 in all), byte_pair (trained on the
        training part), words (lower-cased) or bytes. vocabulary: the most tokens there may be, special ones included;
        not read with characters, whose number is fixed, and bytes.

    A sequence is a window of running text, `length` characters whatever the tokens, so it has no <eos>. Files are held
    out as a whole by the sha256 of their names, tests of the packages left out, and no sentence occurs twice. `seed` is
    that of the order in which files are read until there is enough text.

    Baselines, all measured on the validation part with Witten-Bell smoothing (`normexp.data.ngrams`): unigram,
    position-only, and n-grams with one to four tokens of context. `blind` is the smaller of unigram and position-only.
    The floor of English is unknown, so it is 0. All are nats per token: `about["tokens"]["characters"]` has the mean
    number of characters of a token in the validation part. A loss divided by it is in nats per character, which can be
    compared between kinds of tokens that lose no text (not words, which are lower-cased and may be unknown).

    The versions of the packages are in `sources`, and so in the digest: other versions give other text.

    Raises ValueError for a package that is not installed, for more sequences than there is text, for unknown tokens and
    for a vocabulary that is too small.
    """
    chosen = (packages,) if isinstance(packages, str) else tuple(packages)
    if not chosen:
        raise ValueError("data.packages must name at least one package; got none")
    if length < 2:
        raise ValueError(f"data.length must be at least 2; got {length}")
    if tokens not in tokenisers.KINDS:
        raise ValueError(f"data.tokens must be one of {', '.join(tokenisers.KINDS)}; got {tokens}")
    if vocabulary < (least := tokenisers.smallest(tokens)):
        raise ValueError(f"data.vocabulary must be at least {least} with tokens={tokens}; got {vocabulary}")
    room = sizes("data.sequences", sequences)
    found = {file for package in chosen for file in files(str(package))}
    rows = windows(sorted(found, key=lambda file: fingerprint((seed, file[0]))), room, length)
    for split, count in room.items():
        if len(rows[split]) < count:
            raise ValueError(
                f"data.sequences must be low enough for the text of {', '.join(chosen)}, which has {len(rows[split])} "
                f"sequences of {length} characters in {split}, not {count}; got {sequences}"
            )
    known = _vocabulary(tokens, vocabulary, [row["text"] for row in rows["train"]])
    for split_rows in rows.values():
        for row, ids in zip(split_rows, known.encode_all([row["text"] for row in split_rows]), strict=True):
            row["target"] = ids
    train, valid = ([row["target"] for row in rows[split]] for split in ("train", "valid"))
    baselines = held_out(train, valid, len(known), order=4)
    baselines |= {"blind": min(baselines["unigram"], baselines["position_only"]), "floor": 0.0}
    per_token = length * len(valid) / sum(map(len, valid))
    return build_corpus(
        "language_modelling",
        rows,
        Features(file=Value("string"), text=Value("string"), target=Sequence(Value("int32"))),
        known,
        (),
        baselines,
        methods={
            "blind": "estimate: the smaller of unigram and position-only, measured on the validation part",
            "floor": "unknown: no perfect model of English is at hand, so it is 0",
        },
        sources={package: version_of(package) for package in sorted(chosen)},
        about={"tokens": {"kind": tokens, "vocabulary": len(known), "characters": per_token}},
    )


def _vocabulary(tokens: str, size: int, train: list[str]) -> Vocabulary:
    """The tokens of the kind; characters are the same for every text."""
    if tokens == "characters":
        return Vocabulary(SPECIAL + tuple(ALPHABET), characters, join_characters)
    return tokenisers.build(tokens, size, [train], "")
