"""Figures for a paper: the width of a column, no titles, the caption as text, names as in the literature."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

from normexp.cli import options
from normexp.views import style
from normexp.views.figures import draw
from normexp.views.line_plot import line_plot
from normexp.views.names import VARIANTS, in_words, name_of
from normexp.views.palette import VARIANTS as STYLED

FRAME = {"title": "Title", "settings": "tiny · n = 2 seeds", "caption": "post_ln: the input.", "label": "norm"}


def figure(columns: int = 1) -> Figure:
    rows = [
        {"variant": variant, "depth": depth, "layer": layer, "seed": seed, "value": layer + seed}
        for variant in ("post_ln", "mine")
        for depth in range(columns)
        for layer in (1, 2)
        for seed in (0, 1)
    ]
    return line_plot(pd.DataFrame(rows), "layer", column="depth", **FRAME)


@pytest.mark.slow
@pytest.mark.parametrize(("columns", "width"), [(1, 3.3), (2, 6.8), (5, 6.8)])
def test_figures_have_the_width_of_a_column_or_a_page(columns: int, width: float) -> None:
    with style.context("paper"):
        assert figure(columns).get_figwidth() == width
    with style.context():
        assert figure(columns).get_figwidth() != width


def test_titles_are_text_next_to_the_figure(tmp_path: Path) -> None:
    with style.context("paper"):
        made = figure()
        assert made.texts == []
        pdf, text = style.save(made, tmp_path / "norm")
    assert pdf.read_bytes().startswith(b"%PDF")
    assert text.read_text().splitlines() == [
        "Title",
        "tiny · n = 2 seeds",
        "Post-LN: the input. Thin lines: seeds. Thick lines: mean over the seeds. Wide lines: covered by another.",
    ]


def test_variants_have_the_literatures_names() -> None:
    assert set(VARIANTS) == set(STYLED)
    assert name_of("variant", "pre_ln") == "pre_ln"
    with style.context("paper"):
        assert [name_of("variant", name) for name in ("pre_ln", "mine")] == ["Pre-LN", "mine"]
        assert name_of("depth", 6) == "depth 6"
        legend = figure().legends[0]
    assert [text.get_text() for text in legend.get_texts()] == ["Post-LN", "mine"]
    assert in_words("deep_norm, plain words and torch_default") == "DeepNorm, plain words and torch_default"


def test_text_is_no_smaller_than_six_points() -> None:
    with style.context("paper"):
        made = figure(2)
        made.draw_without_rendering()
        for axis in made.axes:
            labels = [axis.xaxis.label, axis.yaxis.label, *axis.get_xticklabels(), *axis.get_yticklabels(), *axis.texts]
            assert all(label.get_fontsize() >= 6 for label in labels)
        assert all(text.get_fontsize() >= 6 for text in made.legends[0].get_texts())


@pytest.mark.slow
def test_paper_figures_are_next_to_the_others(make_sweep: Callable[..., Path]) -> None:
    folder = make_sweep(depth=[6], variant=["post_ln"])
    files = draw(folder, look="paper")
    assert {path.parent for path in files} == {folder / "figures" / "paper"}
    assert [path.name for path in files] == [
        f"{name}.{kind}" for name in ("loss_curves", "gradient_norms") for kind in ("pdf", "txt")
    ]
    assert not list((folder / "figures").glob("*.png"))
    assert "n = 1 seed" in files[1].read_text()
    assert style.sheet() is style.SHEETS["default"]  # the style ends with the drawing


def test_the_command_line_offers_every_style() -> None:
    assert set(options.Style) == set(style.SHEETS)
