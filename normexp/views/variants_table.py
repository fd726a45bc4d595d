"""The list of variants: name, equation, paper, and what each was checked against."""

from rich.cells import cell_len, set_cell_size
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from normexp.config.compose import Composer
from normexp.errors import ConfigError
from normexp.model.variant import Variant
from normexp.papers import citations, papers_of

COLUMNS = ("variant", "equation", "paper", "verified")


def list_variants(composer: Composer, word: str = "") -> RenderableType:
    """One line per variant that the config folders offer: name, equation, paper, what it was checked against.

    A terminal gets a table whose papers are links, with as many columns as fit into a line each; anything else gets all
    columns, the addresses last. word: only variants whose name, equation or papers contain it. Raises ConfigError if
    there is none.
    """
    rows = {name: _class_of(composer, name) for name in composer.options("variant")}
    rows = {name: variant for name, variant in rows.items() if word.casefold() in _searched(name, variant).casefold()}
    if not rows:
        raise ConfigError(f"no variant has {word!r} in its name, equation or papers; normexp variants lists all")
    console = Console()
    return _linked_table(rows, console.width) if console.is_terminal else _lines(rows)


def _searched(name: str, variant: type[Variant]) -> str:
    titles = (f"{paper.citation} {paper.title}" for paper in papers_of(variant.paper))
    return " ".join((name, variant.equation, *titles, variant.verified))


def _class_of(composer: Composer, name: str) -> type[Variant]:
    """The class of a variant. One that cannot be loaded becomes a row that says why, so that it hides no other."""
    try:
        found: type[Variant] = composer.choice("variant", name).cls
    except ConfigError as error:
        found = type(name, (Variant,), {"equation": f"cannot be loaded: {error}"})
    return found


def _linked_table(variants: dict[str, type[Variant]], width: int) -> Table:
    """Name and equation, cut off where the line ends; the paper and what was checked where all of it fits."""
    rows = []
    for name, variant in variants.items():
        cited = Text(", ").join(Text(p.citation, f"link {p.link}" if p.link else "") for p in papers_of(variant.paper))
        rows.append((Text(name), Text(variant.equation), cited, Text(variant.verified)))
    widths = [max(row[place].cell_len for row in rows) + 2 for place in range(len(COLUMNS))]
    shown = max((count for count in (4, 3) if sum(widths[:count]) <= width), default=2)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    fits = sum(widths[:shown]) <= width
    for column in COLUMNS[:shown]:
        cut = widths[0] - 2 if column == "variant" else None if fits else max(20, width - widths[0] - 2)
        table.add_column(column, no_wrap=True, overflow="ellipsis", width=cut)
    for row in rows:
        table.add_row(*row[:shown])
    return table


def _lines(variants: dict[str, type[Variant]]) -> str:
    rows = [(*COLUMNS, "link")]
    for name, variant in variants.items():
        links = " ".join(paper.link for paper in papers_of(variant.paper))
        rows.append((name, variant.equation, citations(variant.paper), variant.verified, links))
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    padded = ("  ".join(set_cell_size(*cell) for cell in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in padded)
