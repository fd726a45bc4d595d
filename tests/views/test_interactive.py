"""The interactive figures of a report: what they show, that they load nothing, that a page is whole without them."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import html5lib
import numpy as np
import pandas as pd
import pytest
from bokeh.models.annotations import Legend
from bokeh.models.layouts import Row
from bokeh.models.widgets import Slider

from normexp.views.palette import line_styles
from normexp.views.report import interactive, write
from normexp.views.report.layer_plot import layer_plot
from normexp.views.report.lines import Lines, lines_of
from normexp.views.report.loss_plot import loss_plot
from normexp.views.runs import load_runs

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
HTML = "{http://www.w3.org/1999/xhtml}"
HOSTILE = "</script><b>&amp;"
# Walks through the shadow roots, in which Bokeh draws, and leaves what it finds where --dump-dom shows it.
LOOK = """<script>
function* inside(root) {
  for (const each of root.querySelectorAll("*")) { yield each; if (each.shadowRoot) yield* inside(each.shadowRoot) }
}
setTimeout(() => {
  const handle = [...inside(document)].find(each => each.getAttribute("role") == "slider")
  handle.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight", bubbles: true}))
  setTimeout(() => {
    const all = [...inside(document.querySelector("section.interactive:not([hidden])"))]
    const found = {
      texts: all.filter(each => each.tagName == "DIV" && !each.children.length).map(each => each.textContent),
      step: all.filter(each => String(each.className).includes("slider-value")).map(each => each.textContent),
      drawn: all.filter(each => each.tagName == "CANVAS" && each.width > 100).length,
      bold: all.filter(each => each.tagName == "B").length,
      loaded: performance.getEntriesByType("resource").map(each => each.name.slice(0, 40)),
      wide: document.documentElement.scrollWidth > innerWidth,
    }
    document.body.dataset.found = JSON.stringify(found)
  }, 500)
}, 2000)
</script>"""

# A page in a frame that may not run scripts, looked at from outside.
FRAME = """<!DOCTYPE html><title>outer</title><iframe sandbox="allow-same-origin" src="PAGE"></iframe><script>
onload = () => {
  const inner = document.querySelector("iframe").contentDocument
  document.body.dataset.found = JSON.stringify({
    figures: [...inner.querySelectorAll("figure img")].filter(each => each.naturalWidth > 0).length,
    height: inner.querySelector("section.interactive").offsetHeight,
    canvases: inner.querySelectorAll("canvas").length,
  })
}
</script>"""


@pytest.fixture(scope="module")
def runs(sweep: Path) -> pd.DataFrame:
    """The completed runs of three depths and three variants, one of which diverged."""
    found = load_runs(sweep)
    return found[found["state"] == "completed"].reset_index(drop=True)


@pytest.fixture(scope="module")
def hostile(write_sweep_once: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep over two variants, one of which has a name that would end a script element."""
    folder = write_sweep_once(tmp_path_factory.mktemp("hostile") / "try", depth=[6], variant=["post_ln", "pre_ln"])
    config = folder / "depth=06,variant=pre_ln-1a2b3c4d" / "config.yaml"
    config.write_text(config.read_text().replace("name: pre_ln", f"name: {json.dumps(HOSTILE)}"))
    return folder


@pytest.fixture(scope="module")
def page(hostile: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(hostile, tmp_path_factory.mktemp("interactive") / "page.html")


def panels(plot: Any) -> list[Any]:
    found = [panel for each in plot.children if isinstance(each, Row) for panel in each.children]
    return [panel for panel in found if not panel.legend]


def shown(plot: Any, panel: int, name: str) -> dict[str, np.ndarray]:
    """The points of the line of this name in a panel."""
    (line,) = (each for each in panels(plot)[panel].renderers if each.name == name)
    return line.data_source.data


def test_a_configuration_is_a_line_and_a_depth_a_panel(runs: pd.DataFrame) -> None:
    lines = lines_of(runs, runs)
    colours = {name: style.colour for name, style in line_styles(["post_ln", "pre_ln", "no_residual"]).items()}
    assert {line.name: line.colour for line in lines.lines} == colours
    assert [panel.title for panel in lines.panels] == ["depth 6", "depth 12", "depth 18"]
    assert [len(found) for found in lines.panels[0].folders.values()] == [2, 2, 2]
    assert lines.drawn == 9


def test_depth_is_the_colour_where_nothing_else_is_swept(runs: pd.DataFrame) -> None:
    runs = runs[runs["variant"] == "pre_ln"]
    lines = lines_of(runs, runs)
    assert [line.name for line in lines.lines] == ["depth 6", "depth 12", "depth 18"]
    assert [panel.title for panel in lines.panels] == [""]


def test_a_single_configuration_has_the_name_and_the_colour_of_its_variant(runs: pd.DataFrame) -> None:
    runs = runs[(runs["variant"] == "pre_ln") & (runs["depth"] == 6)]
    lines = lines_of(runs, runs)
    assert [(line.name, line.colour) for line in lines.lines] == [("pre_ln", line_styles(["pre_ln"])["pre_ln"].colour)]


def test_colours_are_those_among_all_runs_of_the_sweep(runs: pd.DataFrame) -> None:
    whole = runs[runs["variant"] == "pre_ln"]
    lines = lines_of(whole[whole["depth"] > 6], whole)
    assert [line.colour for line in lines.lines] == [line.colour for line in lines_of(whole, whole).lines[1:]]


def test_a_further_key_is_dashes(runs: pd.DataFrame) -> None:
    both = pd.concat([runs.assign(lr=lr, folder=runs["folder"] + f"-{lr}") for lr in (1e-3, 1e-2)])
    swept = both.assign(folder=[f"/nowhere{place}/{Path(each).name}" for place, each in enumerate(both["folder"])])
    lines = lines_of(swept, swept)
    assert [(line.name, bool(line.dash)) for line in lines.lines[:2]] == [
        ("post_ln, lr 1e-3", False),
        ("post_ln, lr 0.01", True),
    ]


@pytest.mark.slow
def test_losses_are_those_of_the_tables(runs: pd.DataFrame) -> None:
    plot, sentence = loss_plot(runs, lines_of(runs, runs)) or pytest.fail("nothing drawn")
    assert sentence.startswith("Mean over the completed seeds of a running mean of 3 steps.")
    data = shown(plot, 0, "pre_ln")
    curves = [
        pd.read_parquet(Path(folder) / "curves.parquet").query("statistic == 'nll' and split == 'train'")["value"]
        for folder in runs.loc[(runs["depth"] == 6) & (runs["variant"] == "pre_ln"), "folder"]
    ]
    assert data["step"].tolist() == list(range(1, 101))
    assert data["loss"][50] == pytest.approx(np.mean([each.iloc[49:52].mean() for each in curves]), rel=1e-5)


@pytest.mark.slow
def test_a_long_curve_is_thinned(runs: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("normexp.views.report.loss_plot.POINTS", 10)
    plot, _ = loss_plot(runs, lines_of(runs, runs)) or pytest.fail("nothing drawn")
    steps = shown(plot, 0, "pre_ln")["step"]
    assert (len(steps), steps[0], steps[-1]) == (10, 1, 100)


@pytest.mark.slow
def test_a_line_ends_where_a_run_diverged(runs: pd.DataFrame) -> None:
    plot, _ = loss_plot(runs, lines_of(runs, runs)) or pytest.fail("nothing drawn")
    assert max(shown(plot, 1, "post_ln")["step"]) == 69


@pytest.mark.slow
def test_the_norms_of_every_step_are_in_the_page(runs: pd.DataFrame) -> None:
    plot, _ = layer_plot(runs, lines_of(runs, runs)) or pytest.fail("nothing drawn")
    (slider,) = plot.select({"type": Slider})
    assert (slider.start, slider.end, slider.format.args) == (0, 2, {"steps": [1, 50, 100]})
    (change,) = slider.js_property_callbacks["change:value"]
    drawn, every = change.args["sources"][0]
    tables = [
        pd.read_parquet(Path(folder) / "layers.parquet").query("stack == 'encoder' and site == 'feed_forward'")
        for folder in runs.loc[(runs["depth"] == 6) & (runs["variant"] == "post_ln"), "folder"]
    ]
    norms = [table.loc[table["parameter"] == "", "value"].to_numpy() for table in tables]
    assert every.data["norm"] == pytest.approx(np.exp(np.mean(np.log(norms), axis=0)), rel=1e-5)
    assert drawn.data["norm"].tolist() == every.data["norm"][:6].tolist()
    assert [panel.title.text.text for panel in panels(plot)][:4] == [
        *(f"depth {depth}, encoder" for depth in (6, 12, 18)),
        "depth 6, decoder",
    ]


@pytest.mark.slow
def test_what_is_0_or_not_finite_has_no_point(runs: pd.DataFrame) -> None:
    plot, _ = layer_plot(runs, lines_of(runs, runs)) or pytest.fail("nothing drawn")
    deep = shown(plot, 5, "no_residual")["norm"]
    assert np.isnan(deep[:7]).all()
    assert np.isfinite(deep[7:]).all()


@pytest.mark.slow
def test_a_click_in_the_legend_reaches_every_panel(runs: pd.DataFrame) -> None:
    plot, _ = loss_plot(runs, lines_of(runs, runs)) or pytest.fail("nothing drawn")
    legends = list(plot.select({"type": Legend}))
    assert {item.label.value for legend in legends for item in legend.items} == {"post_ln", "pre_ln", "no_residual"}
    for legend in legends:
        assert legend.click_policy == "hide"
        links = legend.items[0].renderers[0].js_property_callbacks["change:visible"]
        assert len(links) == 6  # in each panel what is seen and what a pointer meets


def test_too_many_lines_are_none(runs: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interactive, "MOST", 8)
    assert interactive.plots_of(runs) == (
        [],
        "No interactive figures: 9 configurations are more than the 8 lines they may have.",
    )


def test_without_a_completed_run_there_is_nothing_to_explore(runs: pd.DataFrame) -> None:
    assert interactive.plots_of(runs.assign(state="failed")) == ([], "")
    assert interactive.plots_of(runs.assign(steps=0)) == ([], "")


def test_runs_without_tables_have_no_figure(runs: pd.DataFrame, tmp_path: Path) -> None:
    empty = runs.assign(folder=[str(tmp_path / str(place)) for place in range(len(runs))])
    assert loss_plot(empty, Lines([], [])) is None
    assert layer_plot(empty, Lines([], [])) is None


@pytest.mark.slow
@pytest.mark.usefixtures("svg_alone")
def test_without_bokeh_the_page_is_whole(hostile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bokeh", None)
    text = write(hostile, tmp_path / "page.html").read_text("utf-8")
    html5lib.HTMLParser(strict=True).parse(text)
    assert "<script" not in text
    assert text.count("<figure>") == 2
    assert text.count("pip install &#39;normexp[interactive]&#39; adds figures with hover") == 1


@pytest.mark.slow
def test_with_it_the_page_is_valid_and_loads_nothing(page: Path) -> None:
    tree = html5lib.HTMLParser(strict=True).parse(page.read_text("utf-8"))
    elements = list(tree.iter())
    loaded = [each.get(name) for each in elements for name in ("src", "srcset", "data", "poster") if each.get(name)]
    assert len(loaded) == 2  # the static figures
    assert all(url.startswith("data:image/") for url in loaded)
    assert not [each for each in elements if each.tag in (f"{HTML}link", f"{HTML}iframe", f"{HTML}object")]
    (section,) = (each for each in elements if each.get("class") == "interactive")
    assert section.get("hidden") is not None
    assert [each.text for each in section.iter(f"{HTML}h4")] == ["Loss by step", "Gradient norm by layer"]
    assert "pip install" not in "".join(tree.itertext()).partition("bokeh.min.js")[0]


@pytest.mark.slow
def test_a_name_cannot_end_its_script(page: Path) -> None:
    text = page.read_text("utf-8")
    assert HOSTILE not in text
    tree = html5lib.HTMLParser(strict=True).parse(text)
    items = [json.loads(each.text) for each in tree.iter(f"{HTML}script") if each.get("type") == "application/json"]
    assert len(items) == 2
    assert all(HOSTILE in json.dumps(item) for item in items)


@pytest.mark.slow
@pytest.mark.usefixtures("svg_alone")
def test_a_page_of_sixty_runs_is_below_five_megabytes(write_sweep_once: Callable[..., Path], tmp_path: Path) -> None:
    grid = {"depth": [6, 12], "variant": ["post_ln", "pre_ln", "no_residual", "deep_norm", "b2t", "t5"]}
    folder = write_sweep_once(tmp_path / "sixty", **grid, seed=[0, 1, 2, 3, 4])
    page = write(folder)
    assert 'class="interactive"' in page.read_text("utf-8")
    assert page.stat().st_size < 5e6


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
def test_a_browser_draws_them(page: Path, tmp_path: Path) -> None:
    looked = tmp_path / "looked.html"
    looked.write_text(page.read_text("utf-8").replace("</body>\n</html>", f"{LOOK}</body>\n</html>"), "utf-8")
    found = json.loads(dumped(looked, tmp_path).get("data-found"))
    assert [found["texts"].count(name) for name in ("post_ln", HOSTILE)] == [2, 2]  # in the legend of either figure
    assert found["step"] == ["50"]
    assert found["drawn"] >= 3  # the losses, the norms of both stacks
    assert found["bold"] == 0
    assert found["loaded"] == []
    assert not found["wide"]


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
def test_without_scripts_a_browser_shows_the_static_figures_alone(page: Path, tmp_path: Path) -> None:
    (tmp_path / "outer.html").write_text(FRAME.replace("PAGE", page.as_uri()), "utf-8")
    found = json.loads(dumped(tmp_path / "outer.html", tmp_path, "--allow-file-access-from-files").get("data-found"))
    assert found == {"figures": 2, "height": 0, "canvases": 0}


def dumped(path: Path, folder: Path, *options: str) -> Any:
    """The body of a page as Chromium has it some seconds after it was opened, on a screen as wide as a tablet's."""
    command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--window-size=500,2000"]
    command += [f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=6000", *options]
    shown = subprocess.run([*command, "--dump-dom", path.as_uri()], capture_output=True, timeout=120, check=True)
    return html5lib.parse(shown.stdout.decode()).find(f"{HTML}body")
