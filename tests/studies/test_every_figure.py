"""Every figure of every study, drawn from tables in which runs have diverged; what is said above it is true of it."""

import io
import re

import pytest

from normexp.views import style
from tests.support.worlds import WORLDS

WHOLE = ("xiong2020", "deepnet2022", "depth_limit")  # drawn without missing runs too

pytestmark = pytest.mark.slow


def drawn(study, **changes):
    world = WORLDS[study](**changes)
    runs = world.runs()
    with style.context():
        return world, runs, list(world.load().figures(runs))


def settings(figure):
    """The lines between title and caption, as one."""
    return " ".join(text.get_text() for text in figure.texts if text.get_fontsize() == 7.5)


@pytest.mark.parametrize(("study", "gone"), [*((study, 25) for study in WORLDS), *((study, 0) for study in WHOLE)])
def test_every_figure_is_drawn_without_a_warning(study, gone):
    world, runs, figures = drawn(study, gone=gone)
    assert tuple(name for name, _ in figures) == world.figures
    assert len(set(world.figures)) == len(world.figures)
    seeds = {made.frame["seed"].nunique() for made in runs.values()}
    for _, figure in figures:
        assert "quick)" in " ".join(text.get_text() for text in figure.texts if text.get_fontweight() == "bold")
        assert int(re.search(r"n = (\d+) seeds?$", settings(figure))[1]) in seeds
        assert re.search(r"\n[^\n]*: [^\n]+\.$", figure.get_label())  # a sentence computed from its rows
        if gone:  # the harder one
            with style.context():
                figure.savefig(io.BytesIO(), dpi=30)


def test_settings_are_those_that_all_runs_of_the_figure_share():
    """Where a plan makes several parts, that is more than one of them."""
    (_, depths), _ = drawn("depth_limit")[2]
    assert "depth" not in settings(depths)
    ((_, rates),) = drawn("shallow")[2]
    assert "lr" not in settings(rates)
    ((_, rates),) = drawn("shallow", post_lr=1.5e-3)[2]
    assert "lr 1.5e-3" in settings(rates)
    _, (_, gradients) = drawn("warmup")[2]
    assert "warm-up 10 %" in settings(gradients)
