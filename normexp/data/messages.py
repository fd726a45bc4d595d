"""Messages of programs in many languages, from the compiled gettext catalogues (.mo) of installed packages.

The English message is the key of its translations, so any two languages have a text in common through it. Files are
read, never imported; no text is stored, and nothing is downloaded.
"""

import html
import re
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Sequence
from pathlib import Path

import numpy as np
from babel.messages.mofile import read_mo
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from normexp.data.packages import folder_of
from normexp.data.splits import split_of

# %(name)s, %s, %1, {name}: what a program fills in.
PLACEHOLDER = re.compile(r"%\(\w+\)[-#0+]*\d*(?:\.\d+)?[a-z]|%[-#0+]*\d*(?:\.\d+)?[sdifr]|%\d|\{[^{}]*\}")
FILLED = re.compile(r"\bX\d+\b")  # what stands for a placeholder in a plain text
TAG = re.compile(r"<[^<>]*>")
URL = re.compile(r"\b(?:https?:|www\.)")
WORD = re.compile(r"[a-z]{3}", re.IGNORECASE)
SOURCE = "en"  # the language of the keys
Texts = dict[str, str]


def messages(packages: Sequence[str], languages: Iterable[str]) -> tuple[list[Texts], set[str]]:
    """Every message as its text by language, English always among them, and the packages that have any of them.

    A message of several packages or files is taken from the first. A language of a package is the folder of its name,
    such as pt, or else the only one of its name with a region, such as pt_BR. Messages with plural forms are left out,
    as are translations that read like the English or fill in something else.

    Raises ValueError for a package that is not installed.
    """
    found: dict[tuple[str, str], Texts] = {}
    used = set[str]()
    wanted = [language for language in languages if language != SOURCE]
    for package in packages:
        for language, path in _files(folder_of(package, "text"), wanted):
            with path.open("rb") as file:
                catalogue = read_mo(file)
            for message in catalogue:
                if not (isinstance(message.id, str) and isinstance(message.string, str)):
                    continue
                english, text = plain(message.id, message.id), plain(message.id, message.string)
                if english and text and english.casefold() != text.casefold():
                    used.add(package)
                    key = message.context or "", message.id
                    found.setdefault(key, {SOURCE: english}).setdefault(language, text)
    return list(found.values()), used


def _files(folder: Path, languages: Sequence[str]) -> list[tuple[str, Path]]:
    """The catalogues of these languages in the folder of a package, in alphabetical order."""
    by_name: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("LC_MESSAGES/*.mo")):
        by_name.setdefault(path.parent.parent.name, []).append(path)
    chosen = []
    for language in languages:
        regional = [name for name in by_name if name.partition("_")[0] == language]
        names = [language] if language in by_name else regional if len(regional) == 1 else []
        chosen += [(language, path) for name in names for path in by_name[name]]
    return chosen


def plain(key: str, text: str) -> str:
    """A text without tags and line breaks, placeholders as X0, X1, … in the order in which the key has them.

    Empty if it is no text in words: without a word of three letters in the key, with an address of the web, or with
    other placeholders than the key.
    """
    wanted = list(dict.fromkeys(PLACEHOLDER.findall(key)))
    if URL.search(key) or not WORD.search(PLACEHOLDER.sub("", key)):
        return ""
    if Counter(PLACEHOLDER.findall(text)) != Counter(PLACEHOLDER.findall(key)):
        return ""
    filled = PLACEHOLDER.sub(lambda match: f" X{wanted.index(match[0])} ", text)
    return " ".join(TAG.sub(" ", html.unescape(filled)).replace("%%", "%").split())


def reading(text: str) -> str:
    """The letters of a text in lower case: what must not occur in two splits."""
    return " ".join(re.findall(r"[^\W\d_]+", FILLED.sub("", text).casefold()))


def splits_of(readings: Sequence[Collection[Hashable]]) -> list[str]:
    """The split of each row by its readings: rows that share one, or are linked by others that do, are kept together.

    The split of such a group is that of its readings that comes first in order, so it is a function of the text.
    """
    ids: dict[Hashable, int] = {}
    rows, columns = [], []
    for row, found in enumerate(readings):
        for each in found:
            rows.append(row)
            columns.append(len(readings) + ids.setdefault(each, len(ids)))
    size = len(readings) + len(ids)
    graph = coo_array((np.ones(len(rows), dtype=bool), (rows, columns)), shape=(size, size))
    groups = connected_components(graph, directed=False)[1]
    first: dict[int, str] = {}
    for each, place in ids.items():
        group = int(groups[len(readings) + place])
        first[group] = min(first.get(group, repr(each)), repr(each))
    return [split_of(first.get(int(group), "")) for group in groups[: len(readings)]]
