"""A card as Markdown and for a terminal."""

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from normexp.cards.finding import STATE_COLOURS
from normexp.views.markdown import escaped
from normexp.views.markdown import table as markdown_table
from normexp.views.report.parts import Section, Table


def markdown(title: str, sections: Sequence[Section]) -> str:
    """The page as Markdown, with figures as files in the folder `figures` next to it."""
    return "\n".join([f"# {title}", "", *(line for section in sections for line in _lines(section))])


def _lines(section: Section) -> Iterator[str]:
    yield from (f"## {section.name}", "", section.question, "")
    if section.settings:
        yield from (f"{section.settings}", "")
    for caption, table in section.tables:
        yield from filter(None, (caption,))
        yield from ("", markdown_table(table.columns, ([*map(escaped, row)] for row in table.rows)))
    yield from (f"- {each}" for each in (*section.sentences, *section.notes))
    yield ""
    for graph in section.graphs:
        papers = ", ".join(f"[{citation}]({link})" if link else citation for citation, link in graph.papers)
        said = " · ".join(filter(None, (graph.equation, papers)))
        yield from filter(None, (said,))
        yield from ("", "```", graph.text, "```", "")
    for picture in section.pictures:
        yield from (f"![{picture.sentence}](figures/{picture.name}.png)", "")
    if section.commands:
        yield from ("```sh", *section.commands, "```", "")


def terminal(sections: Sequence[Section]) -> RenderableType:
    """The page without its figures."""
    parts: list[RenderableType] = []
    for section in sections:
        parts.append(Text(f"{section.name}: {section.question}", "bold"))
        for caption, table in section.tables:
            parts += [Text(caption, "dim")] if caption else []
            parts.append(_drawn(table))
        parts += [Text(f"- {each}") for each in (*section.sentences, *section.notes)]
        for graph in section.graphs:
            parts += [Text(""), Text(": ".join(filter(None, (graph.name, graph.equation)))), Text(graph.text)]
        parts.append(Text(""))
    return Group(*parts)


def _drawn(table: Table) -> RichTable:
    drawn = RichTable(box=None, padding=(0, 2, 0, 0), header_style="bold", show_header=not table.wraps)
    for column in table.columns:
        drawn.add_column(column)
    for row in table.rows:
        drawn.add_row(*(Text(cell, STATE_COLOURS.get(cell, "")) for cell in row))
    return drawn
