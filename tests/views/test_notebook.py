"""The report as a notebook: what the page says, in cells that run."""

import html
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import nbformat
import pytest

from normexp.errors import ConfigError
from normexp.records.samples import GRAPH, Sample, write_samples
from normexp.views.report import write
from tests.support.notebooks import executed, outputs_of

REFERENCE = Path(__file__).parents[2] / "results" / "reference"


@pytest.fixture
def swept(make_sweep: Callable[..., Path]) -> Path:
    folder = make_sweep(depth=[6, 12], variant=["post_ln", "pre_ln"], seed=[0, 1])
    for run in folder.glob("depth*"):
        write_samples(run, [Sample("may 1 *b* <i>", "1 mai", "")])
        (run / GRAPH).write_text("decoder layers 1–6\n  x ← LN(x + A(x))")
    return folder


def words(text: str) -> set[str]:
    """The words that people read, without tags, escapes and punctuation."""
    return set(re.findall(r"\w{3,}", html.unescape(re.sub(r"<style.*?</style>|<[^>]*>", " ", text, flags=re.DOTALL))))


def read_as_text(path: Path) -> str:
    """Texts, code and tables of a notebook; not its figures."""
    parts = []
    for cell in nbformat.read(path, as_version=4).cells:
        parts += [re.sub(r"\\(.)", r"\1", cell.source), outputs_of(cell).get("text/html", "")]
    return "\n".join(parts)


@pytest.mark.slow
def test_it_says_what_the_page_says(swept: Path) -> None:
    page, book = write(swept), write(swept, notebook=True)
    assert book == swept / "report.ipynb"
    body = re.sub(r'src="[^"]*"', "", page.read_text()).partition("<main>")[2].partition("</main>")[0]
    body = re.sub(r'<section class="interactive".*?</section>', "", body, flags=re.DOTALL)
    headings = "Figures. For the same texts of the test part, by the deepest run with the first seed"
    assert words(body) - words(read_as_text(book)) <= words(headings)


@pytest.mark.slow
def test_the_same_runs_give_the_same_file(swept: Path, tmp_path: Path) -> None:
    first, second = (write(swept, tmp_path / f"{name}.ipynb", notebook=True) for name in ("one", "two"))
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.slow
def test_it_needs_nbformat(swept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nbformat", None)
    with pytest.raises(ConfigError, match=r"--notebook needs nbformat; pip install 'normexp\[notebook\]' installs it"):
        write(swept, notebook=True)


@pytest.mark.slow
def test_its_cells_run_wherever_the_folder_is(swept: Path, tmp_path: Path) -> None:
    write(swept.parent, notebook=True)
    moved = tmp_path / "moved"
    copytree(swept.parent, moved, ignore=lambda _, names: {"moved"} & set(names))
    cells = executed(moved / "report.ipynb").cells
    shown = {cell.source: outputs_of(cell) for cell in cells if cell.cell_type == "code"}
    assert "1.210 ± 0.014" in shown["normexp.results('try')"]["text/plain"]
    assert r"\toprule" in shown["print(normexp.latex('try'))"]["printed"]
    for name in ("loss_curves", "gradient_norms"):
        assert "image/png" in shown[f"figures['{name}']"]


@pytest.mark.slow
def test_that_of_a_study_runs_too(tmp_path: Path) -> None:
    copytree(REFERENCE / "dong2021", tmp_path / "dong2021")
    book = write(tmp_path / "dong2021", notebook=True)
    verdicts = json.dumps([outputs_of(cell) for cell in executed(book).cells])
    assert "holds" in verdicts
    assert "image/svg+xml" in verdicts or "image/png" in verdicts
