"""The page of a variant: what it has for one that passes, and for one that is refused."""

import io
import re
from dataclasses import replace
from pathlib import Path

import html5lib
import pytest
from rich.console import Console

from normexp.cards import files
from normexp.cards.card import READ, Card
from normexp.cards.checks import CHECKS, RUNS
from normexp.cards.finding import Finding, State
from normexp.cards.numbers import numbers, reference, shipped
from normexp.cards.subject import subject
from normexp.cards.text import terminal
from tests.support.cards import planted_map, start_table
from tests.support.cli import in_process

GRAPH = ["decoder layers 1–6", "  h₁ = x + tanh(a)·A(LN(x))"]
pytestmark = pytest.mark.slow
SMALL = ["depth=3", "model.width=16", "model.heads=2", "model.feed_forward=16", "training.batch_tokens=300"]


@pytest.fixture(scope="module")
def card(lab: Path) -> Card:
    """A card whose measurements are planted."""
    about = subject("card", ["variant=harmless", "norm=rms_norm", "depth=6"], [str(lab)], READ)
    found = [Finding(each, State.PASSES) for each in (RUNS, *CHECKS)]
    rows = start_table(harmless=(0.7, 0.02, 0.2, 0.4), pre_ln=(0.6, 0.0, 0.1, 0.5), post_ln=(1.0, 0.3, 1.0, 0.01))
    on_map = numbers("harmless", planted_map(pre_ln=1.2, post_ln=2.5, harmless=1.5))
    return Card(about, found, GRAPH, rows, on_map, 12.3)


def written(card: Card, folder: Path) -> tuple[str, str, str]:
    """Markdown, HTML that is valid, and what a terminal shows."""
    sections, (markdown, page) = files.write(card, folder)
    html5lib.HTMLParser(strict=True).parse(page.read_text("utf-8"))
    console = Console(width=300, record=True, file=io.StringIO())
    console.print(terminal(sections))
    return markdown.read_text("utf-8"), page.read_text("utf-8"), console.export_text()


def test_every_form_of_the_page_has_the_same_content(card: Card, tmp_path: Path) -> None:
    for text in written(card, tmp_path):
        for expected in (
            "harmless passes all 8 checks.",
            "It reads no future token.",
            "h₁ = x + tanh(a)·A(LN(x))",
            "gradient slope, closer to pre_ln: slope of the logarithm",
            "0.5 [0.45, 0.55]",
            "2 of 3",
            "Checks and measurements took 12 s.",
        ):
            assert expected in text
        assert text.index("It reads no future token.") < text.index("h₁ = x") < text.index("gradient slope")


def test_the_page_is_complete_without_network(card: Card, tmp_path: Path) -> None:
    markdown, page, _ = written(card, tmp_path)
    assert page.count("<figure>") == 3
    assert "<script" not in page
    assert page.count("data:image/") == 3
    assert "x ← x + tanh(a) ⊙ F(LN(x)), LN at the end" in page
    assert "rms_norm" in page
    for name in ("stream_grad_norm", "rank_residual", "output_shift"):
        assert f"(figures/{name}.png)" in markdown
        assert (tmp_path / "figures" / f"{name}.png").is_file()
    assert not list(tmp_path.glob(".*"))


def test_options_of_the_variant_are_on_the_page(card: Card, tmp_path: Path) -> None:
    """The map has the variant with its default options, and the command makes the same card again."""
    about = subject("card", ["variant=b2t", "variant.weight_scaling=true", "task=language_modelling"], [], READ)
    of = replace(card, about=about, quick=True, start=None, numbers=numbers("b2t", reference(shipped(tied=True))))
    markdown, _, _ = written(of, tmp_path)
    assert "normexp card variant=b2t variant.weight_scaling=true task=language_modelling --quick" in markdown
    assert markdown.count("variant.weight_scaling=true") >= 3
    assert "in its own settings, without regard to variant.weight_scaling=true." in markdown


def test_the_map_is_the_one_with_the_output_matrix_of_the_card(card: Card, tmp_path: Path) -> None:
    for tied, other in ((True, False), (False, True)):
        words = [f"model.tied={tied}".lower(), "variant=deep_norm", "task=language_modelling"]
        about = subject("card", words, [], READ)
        of = replace(card, about=about, start=None, numbers=numbers("deep_norm", reference(shipped(tied))))
        markdown, _, _ = written(of, tmp_path)
        loss = re.search(r"loss at its best rate \| docstrings, depth 24 \| ([\d.]+)", markdown)
        assert loss
        assert float(loss[1]) == (2.5 if tied else 1.57)
        assert f"model.tied={other} shows the other map".lower() in markdown
        assert "without regard to" not in markdown


def test_a_block_is_part_of_the_model(card: Card, tmp_path: Path) -> None:
    """Which has an output matrix of its own, so the map is the untied one."""
    about = subject("card", ["block=llama", "variant=pre_ln", "task=language_modelling"], [], READ)
    assert about.config.norm.name == "rms_norm"
    of = replace(card, about=about, start=None, numbers=numbers("pre_ln", reference(shipped(tied=True))))
    markdown, _, _ = written(of, tmp_path)
    assert "in its own settings, without regard to block=llama." in markdown
    assert "model.tied=true shows the other map" in markdown


def test_a_variant_without_a_map_says_how_to_make_one(card: Card, tmp_path: Path) -> None:
    bare = replace(card, numbers=numbers("harmless", None))
    for text in written(bare, tmp_path):
        assert "No map of this variant has been made; run `normexp map variant=harmless --config-dir " in text


def test_a_refused_variant_has_no_measurements(card: Card, tmp_path: Path) -> None:
    future = Finding(CHECKS[0], State.FAILS, "decoder layer 1, what attention reads, changes")
    nowhere = numbers("harmless", None)
    refused = replace(card, findings=[card.findings[0], future, *card.findings[2:]], start=None, numbers=nowhere)
    assert not refused.passes
    for text in written(refused, tmp_path):
        assert "harmless fails 1 of 8 checks: it reads future tokens." in text
        assert "It reads future tokens: decoder layer 1, what attention reads, changes." in text
        assert "Nothing was measured" in text
        assert "normexp map" not in text
        assert "gradient slope" not in text
    assert not (tmp_path / "start.csv").exists()


def test_a_gradient_that_cannot_be_measured_has_no_figure(card: Card, tmp_path: Path) -> None:
    """As with hyper-connections: probes see a sum of streams that the loss does not use."""
    assert card.start is not None
    hidden = card.start["value"].where(card.start["statistic"] != "stream_grad_norm")
    _, page, _ = written(replace(card, start=card.start.assign(value=hidden)), tmp_path)
    assert page.count("<figure>") == 2
    assert "gradient slope: cannot be measured (the loss does not use the tensor" in page


@pytest.mark.usefixtures("svg_alone")
def test_a_card_is_made_from_a_folder_of_its_own(lab: Path, outside: Path) -> None:
    words = ["card", "--quick", "--config-dir", str(lab), *SMALL, "task=language_modelling"]
    done = in_process(*words, "variant=forgets")
    assert done.exit_code == 1
    assert "layer 3 differs from its neighbours, attention drops the stream" in done.stdout
    folder = outside / "results" / "cards" / "forgets"
    assert {path.name for path in folder.iterdir()} == {"card.md", "card.html", "start.csv", "figures"}
    refused = in_process(*words, "variant=mean_over_tokens")
    assert refused.exit_code == 1
    assert "mean_over_tokens fails 2 of 8 checks: it reads future tokens" in refused.stdout
    assert "Nothing was measured" in refused.stdout
