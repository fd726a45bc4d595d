"""The report: one page that is valid, complete without network and scripts, and says what the tables say."""

import base64
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import html5lib
import pandas as pd
import pytest
from PIL import Image

from normexp.errors import ConfigError
from normexp.records.samples import GRAPH, Sample, write_samples
from normexp.views.figures import draw
from normexp.views.report import write

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
REFERENCE = Path(__file__).parents[2] / "results" / "reference"


@pytest.fixture(scope="module")
def swept(write_sweep_once: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    grid = {"depth": [6, 12], "variant": ["post_ln", "pre_ln"], "seed": [0, 1]}
    folder = write_sweep_once(tmp_path_factory.mktemp("report") / "try", **grid)
    about = json.loads((folder / "sweep.json").read_text()) | {
        "overrides": ["depth=6,12", "seed=range(2)", "results=x"]
    }
    (folder / "sweep.json").write_text(json.dumps(about))
    for run in folder.glob("depth*"):
        texts = [Sample(f"may {day} <b>", f"{day} mai", f"{day} mai" if day % 2 else "juin") for day in range(1, 7)]
        write_samples(run, texts)
        (run / GRAPH).write_text("decoder layers 1–6\n  x ← LN(x + A(x))")
    return folder


@pytest.fixture(scope="module")
def report(swept: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the sweep."""
    return write(swept, tmp_path_factory.mktemp("report") / "page.html")


def page(path: Path) -> str:
    """The page, parsed without forgiving anything."""
    text = path.read_text("utf-8")
    html5lib.HTMLParser(strict=True).parse(text)
    return text


@pytest.mark.slow
def test_a_sweep_is_one_valid_page(report: Path) -> None:
    text = page(report)
    for expected in (
        "How do post_ln and pre_ln train at depth 6 and 12 on translation (cldr_dates), within 100 steps?",
        "With all seeds trained: post_ln at depth 6; pre_ln at every depth.",
        "x ← LN(x + F(x))",
        "decoder layers 1–6",
        "normexp sweep depth=6,12 &#39;seed=range(2)&#39;",
        "8 runs, seeds 0, 1",
        "may 1 &lt;b&gt;",
        "Final loss at depth 12 (nats per token): post_ln 1.210 ± 0.014, pre_ln 0.260 ± 0.014.",
    ):
        assert expected in text
    assert "results=x" not in text
    assert text.count("<figure>") == 2
    assert re.findall('<th scope="col">(.*?)</th>', text)[:5] == ["depth", "variant", "n", "outcome", "final loss"]


@pytest.mark.slow
@pytest.mark.usefixtures("svg_alone")
def test_nothing_is_loaded_and_nothing_is_run_without_bokeh(
    swept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bokeh", None)
    text = page(write(swept, tmp_path / "page.html"))
    loaded = re.findall(r"""(?:src|srcset|data|poster|action)=["']([^"']{0,40})""", text)
    assert loaded
    assert all(url.startswith("data:image/") for url in loaded)
    assert not re.search(r"<(script|link|iframe|object|embed)|url\(|@import|\bon\w+=", text)


def test_a_study_has_its_claims_with_intervals(tmp_path: Path) -> None:
    published = pd.read_csv(REFERENCE / "xiong2020" / "claims.csv")
    text = page(write(REFERENCE / "xiong2020", tmp_path / "page.html"))
    assert f"{(published['kind'] != 'control').sum()} claims (" in text
    for measured in published["measured"]:
        assert measured in text
    assert text.index("does not hold</span>") < text.index("holds</span>")
    assert "normexp probe" in text
    assert "<b>post_ln</b>: x ← LN(x + F(x))" in text


@pytest.mark.slow
def test_one_run_of_several_has_a_report_with_its_own_figures(make_run: Callable[..., Path], tmp_path: Path) -> None:
    """They are the files that were drawn of it, not new ones of all runs beside it."""
    one, _ = (make_run(tmp_path / "train" / name, depth=6, variant=name, seed=0) for name in ("post_ln", "pre_ln"))
    drawn = [base64.b64encode(path.read_bytes()).decode() for path in draw(one) if path.stem == "loss_curves"]
    text = page(write(one))
    assert any(each in text for each in drawn)
    assert "<title>How does post_ln train" in text
    assert "pre_ln" not in text


@pytest.mark.slow
@pytest.mark.usefixtures("no_pdf")
def test_several_sweeps_have_a_table_of_contents(make_sweep: Callable[..., Path]) -> None:
    for name in ("one", "two"):
        folder = make_sweep(name, depth=[6], variant=["post_ln"])
    text = page(write(folder.parent))
    assert re.search('<a href="#s-one">How does post_ln train .*</a> <span class="dim">one</span>', text)
    assert "One seed per configuration" in text
    assert "±" not in text
    assert '<section id="s-two">' in text


@pytest.mark.slow
def test_the_title_is_the_question(swept: Path, tmp_path: Path) -> None:
    text = page(write(swept, tmp_path / "page.html"))
    question = "How do post_ln and pre_ln train at depth 6 and 12 on translation (cldr_dates), within 100 steps?"
    assert f"<h1>{question}</h1>" in text
    assert text.count(question) == 2  # and the title of the tab


def test_figures_of_a_study_have_their_captions(tmp_path: Path) -> None:
    shutil.copytree(REFERENCE / "dong2021", tmp_path / "dong2021")
    (tmp_path / "dong2021" / "captions.json").write_text('{"token_cosine": "Cosine.\\nAt layer 2: <1>."}')
    text = page(write(tmp_path / "dong2021"))
    assert "<figcaption>At layer 2: &lt;1&gt;.</figcaption>" in text  # what is drawn in the figure is not said again
    assert 'alt="Cosine. At layer 2: &lt;1&gt;."' in text


def test_a_claim_that_is_exploratory_or_ours_is_marked(tmp_path: Path) -> None:
    text = page(write(REFERENCE / "dong2021", tmp_path / "page.html"))
    claims = pd.read_csv(REFERENCE / "dong2021" / "claims.csv")
    marked = claims[claims["exploratory"] & ~claims["own"]]
    assert len(marked)
    assert text.count("(exploratory)") == len(marked)


@pytest.mark.slow
def test_a_study_shows_what_its_models_wrote(tmp_path: Path) -> None:
    shutil.copytree(REFERENCE / "dong2021", tmp_path / "dong2021")
    assert "What the models wrote" not in page(write(tmp_path / "dong2021"))  # of untrained ones nothing
    examples = [{"given": "1 < 2", "expected": "one", "written": [["post_ln", "two", False], ["pre_ln", "one", True]]}]
    (tmp_path / "dong2021" / "examples.json").write_text(json.dumps(examples))
    text = page(write(tmp_path / "dong2021"))
    assert "<dd>1 &lt; 2</dd>" in text
    assert '<th scope="row">pre_ln</th><td>one ✓</td>' in text
    assert '<th scope="row">post_ln</th><td>two</td>' in text


@pytest.mark.slow
@pytest.mark.usefixtures("no_pdf")
def test_runs_that_are_not_finished_are_a_page_too(make_sweep: Callable[..., Path]) -> None:
    folder = make_sweep("early", depth=[6], variant=["post_ln"], state=["running"])
    assert "interrupted" in page(write(folder))


def test_a_folder_without_runs_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no run in"):
        write(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_page_that_cannot_be_written_is_an_error(swept: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--out must be"):
        write(swept, tmp_path / "missing" / "page.html")


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
def test_it_is_not_wider_than_a_phone(report: Path, tmp_path: Path) -> None:
    """Rendered at 500 pixels, the right edge is free: wide tables and figures scroll inside the page."""
    shot = tmp_path / "shot.png"
    command = [
        str(BROWSER),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--window-size=500,5000",
        "--hide-scrollbars",
    ]
    command += [f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={shot}", report.as_uri()]
    subprocess.run(command, capture_output=True, timeout=60, check=True)
    with Image.open(shot) as image:
        edge = image.convert("RGB").crop((image.width - 12, 0, image.width, image.height))
        assert len(edge.getcolors(2**24) or []) == 1
