"""The list of variants: name, equation, paper, and what each was checked against."""

from rich.cells import cell_len, set_cell_size
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from normexp.config.compose import Composer
from normexp.errors import ConfigError
from normexp.model.variant import Variant
from normexp.papers import citations, papers_of

COLUMNS = ("variant", "equation", "paper", "verified")


def list_variants(composer: Composer) -> RenderableType:
    """One row per variant that the config folders offer: name, equation, paper, what it was checked against.

    A terminal gets a table whose papers are links; anything else gets one line per variant, the addresses in a last
    column.
    """
    rows = {name: _class_of(composer, name) for name in composer.options("variant")}
    return _linked_table(rows) if Console().is_terminal else _lines(rows)


def _class_of(composer: Composer, name: str) -> type[Variant]:
    """The class of a variant. One that cannot be loaded becomes a row that says why, so that it hides no other."""
    try:
        found: type[Variant] = composer.choice("variant", name).cls
    except ConfigError as error:
        found = type(name, (Variant,), {"equation": f"cannot be loaded: {error}"})
    return found


def _linked_table(variants: dict[str, type[Variant]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in COLUMNS:
        table.add_column(column, no_wrap=column == "variant")
    for name, variant in variants.items():
        cited = Text(", ").join(Text(p.citation, f"link {p.link}" if p.link else "") for p in papers_of(variant.paper))
        table.add_row(name, escape(variant.equation), cited, escape(variant.verified))
    return table


def _lines(variants: dict[str, type[Variant]]) -> str:
    rows = [(*COLUMNS, "link")]
    for name, variant in variants.items():
        links = " ".join(paper.link for paper in papers_of(variant.paper))
        rows.append((name, variant.equation, citations(variant.paper), variant.verified, links))
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    padded = ("  ".join(set_cell_size(*cell) for cell in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(escape(line.rstrip()) for line in padded)
