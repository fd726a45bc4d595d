"""The diagram of a block: what is drawn is what the graph says."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from normexp.views import style
from normexp.views.diagram import diagram
from tests.support.cli import in_process
from tests.support.models import model_of
from tests.support.runs import TINY


def drawn(variant: str, **more: object) -> Figure:
    with style.context():
        return diagram(model_of(variant, 2, 2, **more))  # type: ignore[arg-type]


def texts(figure: Figure, panel: int = 0) -> list[str]:
    """What is written in a panel, from its bottom to its top."""
    written = sorted(figure.axes[panel].texts, key=lambda text: text.get_position()[1])
    return [text.get_text() for text in written if text.get_text()]


@pytest.mark.parametrize(
    ("variant", "boxes", "sums"),
    [
        ("post_ln", ["Attention", "LN", "Feed-forward", "LN"], 2),
        ("pre_ln", ["LN", "Attention", "LN", "Feed-forward", "LN"], 2),
        ("b2t", ["Attention", "LN", "Feed-forward", "LN"], 2),
        ("sandwich", ["LN", "Attention", "LN", "LN", "Feed-forward", "LN", "LN"], 2),
        ("parallel", ["LN", "Attention", "Feed-forward", "LN"], 1),  # the norm of both branches is one box
        ("no_residual", ["Attention", "LN", "Feed-forward", "LN"], 0),
    ],
)
def test_boxes_are_in_the_order_of_the_equations(variant: str, boxes: list[str], sums: int) -> None:
    figure = drawn(variant)
    assert [text for text in texts(figure) if text in boxes] == boxes
    assert sum(isinstance(patch, Circle) for patch in figure.axes[0].patches) == sums
    assert "× 2" in texts(figure)


def test_cross_attention_reads_the_memory() -> None:
    assert texts(drawn("pre_ln"), 1).count("memory") == 1
    assert "Cross-attention" in texts(drawn("pre_ln"), 1)


def test_a_factor_on_the_skip_is_on_the_skip() -> None:
    (factor, *_) = (text for text in drawn("deep_norm").axes[0].texts if text.get_text().startswith("× 1."))
    assert factor.get_position()[0] < -1


def test_layers_that_differ_have_a_panel_each() -> None:
    assert len(drawn("keel").axes) == 4


@pytest.mark.parametrize("variant", ["resi_dual", "siamese_norm", "dlcl_pre", "hyper_connections", "mhc"])
def test_what_is_no_sum_of_chains_is_an_equation(variant: str) -> None:
    assert any("=" in text or "←" in text for text in texts(drawn(variant)))


@pytest.mark.slow
def test_nothing_is_outside_the_figure() -> None:
    for variant in ("deep_norm", "b2t", "parallel", "resi_dual"):
        figure = drawn(variant)
        figure.draw_without_rendering()
        frame = figure.bbox
        for axis in figure.axes:
            for text in axis.texts:
                box = text.get_window_extent()
                assert frame.x0 <= box.x0 <= box.x1 <= frame.x1, (variant, text.get_text())
                assert frame.y0 <= box.y0 <= box.y1 <= frame.y1, (variant, text.get_text())


@pytest.mark.slow
def test_show_draws_to_a_file(tmp_path: Path) -> None:
    path = tmp_path / "block.svg"
    words = ["show", *TINY, "variant=pre_ln", "--diagram"]
    assert in_process(*words, str(path)).stdout == f"{path}\n"
    first = path.read_bytes()
    assert ET.fromstring(first).tag.endswith("svg")
    in_process(*words, str(path))
    assert path.read_bytes() == first
    for wrong, sentence in (("block.jpg", "must be a file that ends in"), ("no/block.svg", "that can be written")):
        done = in_process(*words, str(tmp_path / wrong))
        assert (done.exit_code, len(done.stderr.splitlines())) == (2, 1)
        assert sentence in done.stderr
