"""The report as a notebook: the same texts, and cells that compute its tables and figures again."""

import base64
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normexp.errors import ConfigError
from normexp.records.atomic import replacing
from normexp.views.report.parts import Picture, Section, Table

if TYPE_CHECKING:
    from nbformat import NotebookNode

EXTRA = "notebook"  # of normexp, that installs nbformat and a kernel
LEGEND = (
    "x is the residual stream; A is attention, C cross-attention, FFN the feed-forward sub-layer, LN the norm; "
    "hₖ is the stream after the k-th sub-layer of a layer."
)


def write_notebook(sections: list[tuple[Path, Section]], title: str, path: Path) -> Path:
    """Write the sections, each with the folder that it is about, as a notebook; return its path.

    Tables and figures are there before it is run. Cells name folders relative to the notebook's, where Jupyter runs it.
    Raises ConfigError without nbformat, or if the file cannot be written.
    """
    try:
        import nbformat
    except ImportError as error:
        raise ConfigError(f"--notebook needs nbformat; pip install 'normexp[{EXTRA}]' installs it") from error
    book = nbformat.v4.new_notebook(metadata={"kernelspec": _KERNEL, "language_info": {"name": "python"}})
    book.cells = [_text(f"# {_escaped(title)}"), _code("import normexp")]
    for folder, section in sections:
        where = os.path.relpath(folder.resolve(), path.parent.resolve())
        book.cells += list(_cells(Path(where).as_posix(), section, heading=len(sections) > 1))
    for number, cell in enumerate(book.cells):
        cell["id"] = f"cell-{number}"  # by default a random one, and the same runs would give another file
    nbformat.validate(book)
    try:
        with replacing(path) as temporary:
            temporary.write_text(nbformat.writes(book), "utf-8")
    except OSError as error:
        raise ConfigError(f"--out must be a file that can be written; got {path} ({error.strerror})") from error
    return path


_KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def _cells(where: str, section: Section, *, heading: bool) -> Iterator["NotebookNode"]:
    study = bool(section.claims)
    start = [f"## {_escaped(section.question)}"] if heading else []
    start.append(_escaped(f"{section.name}: {section.settings}" if section.settings else section.name))
    start.append("\n".join(f"- {_escaped(sentence)}" for sentence in section.sentences))
    yield _text("\n\n".join(filter(None, start)))
    if study:
        yield _code(f"import pandas as pd\n\npd.read_csv({where + '/claims.csv'!r})")
        yield _text("\n".join(f"- {_claim(claim)}" for claim in section.claims))
    elif section.tables:
        shown = "\n".join(_html(caption, table) for caption, table in section.tables)
        yield _code(f"normexp.results({where!r})", {"text/html": shown})
        yield _code(f"print(normexp.latex({where!r}))")
    if section.notes:
        yield _text("\n".join(f"- {_escaped(note)}" for note in section.notes))
    if section.pictures and not study:
        yield _code(f"figures = normexp.figures({where!r})")
    for picture in section.pictures:
        yield _text(_escaped(picture.sentence or picture.name))
        yield _code(_draws(where, picture, study), _content(picture))
    if section.graphs:
        yield _text(f"### What each variant computes\n\n{LEGEND}")
        yield _text("\n\n".join(_graph(graph) for graph in section.graphs))
    if section.example:
        given, expected = (_escaped(text) or "(nothing)" for text in section.example)
        yield _text(f"### One example of the data\n\n- given: {given}\n- expected: {expected}")
    if section.answers:
        asked = "\n\n".join(map(_asked, section.answers))
        yield _text(f"### What the models wrote\n\n✓ marks the reference.\n\n{asked}")
    if section.commands:
        yield _text("### Run it again\n\n" + _fenced("\n".join(section.commands)))
    if section.origin:
        yield _text("### Origin\n\n" + "\n".join(f"- {_escaped(line)}" for line in section.origin))


def _text(source: str) -> "NotebookNode":
    import nbformat

    return nbformat.v4.new_markdown_cell(source)


def _code(source: str, content: dict[str, Any] | None = None) -> "NotebookNode":
    import nbformat

    outputs = [nbformat.v4.new_output("display_data", content)] if content else []
    return nbformat.v4.new_code_cell(source, outputs=outputs)


def _draws(where: str, picture: Picture, study: bool) -> str:
    if not study:
        return f"figures[{picture.name!r}]"
    kind = "SVG" if "svg" in picture.url.partition(";")[0] else "Image"
    name = f"{where}/figures/{picture.name}.{'svg' if kind == 'SVG' else 'png'}"
    return f"from IPython.display import {kind}\n\n{kind}({name!r})"


def _content(picture: Picture) -> dict[str, str]:
    kind, _, content = picture.url.removeprefix("data:").partition(";base64,")
    return {kind: base64.b64decode(content).decode() if kind == "image/svg+xml" else content}


def _claim(claim: Any) -> str:
    said = f"{claim.statistic}: {claim.measured}; window {claim.window} ({claim.source}) {claim.note}"
    return f"**{claim.verdict}**: {_escaped(claim.text)} ({_escaped(claim.place)}). {_escaped(said.strip())}"


def _graph(graph: Any) -> str:
    papers = "".join(f" · [{citation}]({link})" if link else f" · {citation}" for citation, link in graph.papers)
    head = f"**{_escaped(graph.name)}**" + (f": {_escaped(graph.equation)}" if graph.equation else "") + papers
    return f"{head}\n\n{_fenced(graph.text)}" if graph.text else head


def _asked(answers: Any) -> str:
    written = (
        f"- {_escaped(name)}: {_escaped(text) or '(nothing)'}{' ✓' * exact}" for name, text, exact in answers.written
    )
    return "\n".join([f"{_escaped(answers.given)} → {_escaped(answers.expected)}", "", *written])


def _html(caption: str, table: Table) -> str:
    from html import escape

    def row(cells: list[str], tag: str) -> str:
        return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"

    return f"<table><caption>{escape(caption)}</caption>{row(table.columns, 'th')}" + "".join(
        [*(row(cells, "td") for cells in table.rows), "</table>"]
    )


def _fenced(text: str) -> str:
    """Text as code, whatever is in it."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


def _escaped(text: str) -> str:
    """Text as Markdown shows it: no tag, link or emphasis of its own."""
    return re.sub(r"([\\`*_\[\]<&#|$])", r"\\\1", " ".join(text.split()))
