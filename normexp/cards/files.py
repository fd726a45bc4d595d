"""The files of a card: card.md, card.html, start.csv, figures."""

from pathlib import Path

from normexp.cards.card import Card, sections
from normexp.cards.text import markdown
from normexp.records.atomic import replacing
from normexp.views.report.parts import Section
from normexp.views.report.write import render

ORIGIN = "from its checks, from start.csv and from the tables of the map. Intervals are 95 % intervals of the mean"


def write(card: Card, folder: Path) -> tuple[list[Section], list[Path]]:
    """Write the card to a folder that exists; return its sections and the paths of its pages.

    Every file is replaced as a whole.
    """
    if card.start is not None:
        with replacing(folder / "start.csv") as temporary:
            card.start.to_csv(temporary, index=False, lineterminator="\n", float_format="%.6g")
    found = sections(card, folder / "figures")
    title = f"{card.about.name}, on one page"
    pages = {"card.md": markdown(title, found), "card.html": render(title, found, ORIGIN)}
    for name, text in pages.items():
        with replacing(folder / name) as temporary:
            temporary.write_text(text, "utf-8")
    return found, [folder / name for name in pages]
