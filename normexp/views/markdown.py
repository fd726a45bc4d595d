"""Tables and texts as Markdown."""

import re
from collections.abc import Iterable, Sequence


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are Markdown already; see `escaped` for text that is not."""
    lines = (columns, ["---"] * len(columns), *rows)
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def escaped(text: str) -> str:
    """Text as Markdown shows it: no table, link, tag or entity of its own."""
    return re.sub(r"([|\\`<&]|\](?=[(\[:]))", r"\\\1", text)
