"""The project's English is that of the field: expressions that crept in before do not come back.

Checked is what people read: string literals, docstrings and comments of Python files, comments and values of YAML
files, and the README. Code itself is free, so that an attribute of a library may be called anything.
"""

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# What not to write, and what to write instead. Matched without regard to case; a space stands for any white space.
FORBIDDEN = {
    r"\b(?:is|are) right\b": "must be …; got …",
    r"\bstands?\b(?!-| for\b| in for\b| out\b)": "is",
    r"\bstood\b(?! for\b)": "was",
    r"\blies\b": "is",
    r"\btold\b": "given, shown, printed",
    r"\bbeside\b": "next to, with, besides",
    r"\banew\b": "again",
    r"\barrangements?\b": "variant",
    r"\bof one'?s own\b": "your own",
    r"\b(?:on|from|unless) the line\b|\bthe line(?:'s (?:keys|overrides)| names)\b": "overrides",
    r"\bless (?:that|those|without|with|the|its|R²|\d|[\w-]+'s)(?!\w)": "minus, −, without",
    r"\bbehind (?:a|an|the|every|each|its|that|both)(?: \w+)? (?:attention|branch|norm|output|projection|site|sub-layer"
    r"|sum)(?:e?s)?\b": "after",
    r"\bfor ever\b": "permanently",
    r"\b(?:has|have) no say\b": "is ignored",
    r"\b(?:takes?|taken|took) up again\b": "resume",
    r"\bslips? of the pen\b": "mistake",
    r"\brehears\w+": "check",
    r"\bthe seam\b": "the variant interface",
    r"\bthe house\b": "the code",
    r"\bhears? of\b": "is given",
    r"\bnobody asks\b": "unused",
    r"\bis no (?:YAML|bool|number|integer|list|mapping|string)\b": "is not a",
}
PATTERNS = {re.compile(pattern.replace(" ", r"\s+"), re.IGNORECASE): instead for pattern, instead in FORBIDDEN.items()}
FILES = sorted(
    [ROOT / "README.md", *(ROOT / "configs").rglob("*.yaml")]
    + [path for folder in ("normexp", "scripts") for path in (ROOT / folder).rglob("*.py")]
    + [path for folder in ("normexp", "configs", ".github", "tests") for path in (ROOT / folder).rglob("README.md")]
    + [
        ROOT / ".github" / "CONTRIBUTING.md",
        ROOT / "configs" / "TUTORIAL.md",
        ROOT / "pyproject.toml",
        ROOT / "scripts" / "reference",
    ]
)
QUOTED = re.compile(r"""^[a-zA-Z]{0,2}("{3}|'{3}|"|')(.*)\1$""", re.DOTALL)
TEXT = (tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING))
BETWEEN = (tokenize.NL, tokenize.COMMENT, getattr(tokenize, "FSTRING_START", -1), getattr(tokenize, "FSTRING_END", -1))


def prose(source: str) -> Iterator[tuple[int, str]]:
    """(line, text) of every string and comment; adjacent strings and comments on successive lines are one text."""
    strings: list[tuple[int, str]] = []
    comments: list[tuple[int, str]] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in TEXT:
            strings.append((token.start[0], token.string))
        elif token.type == tokenize.COMMENT:
            if comments and token.start[0] > comments[-1][0] + 1:
                yield joined(comments)
                comments = []
            comments.append((token.start[0], token.string.lstrip("# ")))
        if strings and token.type not in (*TEXT, *BETWEEN):
            yield joined(strings)
            strings = []
    yield from map(joined, filter(None, (strings, comments)))


def joined(parts: list[tuple[int, str]]) -> tuple[int, str]:
    """One text: a literal without its quotes, a line break where the source has one, so that lines can be counted."""
    text = ""
    for line, part in parts:
        missing = line - parts[0][0] - text.count("\n")
        text += "\n" * missing + re.sub(
            r"""^[a-zA-Z]{0,2}(?="|')("{3}|'{3}|"|')(.*)\1$""", r"\2", part, flags=re.DOTALL
        )
    return parts[0][0], text


def found(path: Path) -> Iterator[str]:
    """Every forbidden expression in a file: place, what it says, what to write instead."""
    source = path.read_text()
    for line, text in prose(source) if path.suffix == ".py" else [(1, source)]:
        for pattern, instead in PATTERNS.items():
            for match in pattern.finditer(text):
                at = line + text.count("\n", 0, match.start())
                yield f"{path.relative_to(ROOT)}:{at}: “{' '.join(match[0].split())}”; better: {instead}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_wording(path):
    assert not list(found(path))


@pytest.mark.parametrize(
    ("source", "hits"),
    [
        ("x = 'depth=0: 1 or more is right'", 1),
        ("x = ('depth=0: 1 or more is '\n     f'right, {x}')", 1),
        ('"""A docstring that\n\nlies."""\nx = 1  # told\n# in a\n# new word, anew', 3),
        ("x = f\"{y}: Post-LN's less Pre-LN's, 18 layers less 6\"", 2),
        ("x = 'depends less on it, 6 or less, less than 1'", 0),
        ("lies = told.beside  # code is free", 0),
        ("x = 'B stands for batch; no less than 1; besides; no stand-in'", 0),
    ],
)
def test_strings_and_comments_are_read_and_code_is_not(source, hits, tmp_path, monkeypatch):
    monkeypatch.setattr("tests.test_wording.ROOT", tmp_path)
    (tmp_path / "x.py").write_text(source)
    assert len(list(found(tmp_path / "x.py"))) == hits
