"""Loss curves read back from their lines: as they are, or as regret where a run reaches the floor."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from normexp.views.grid import KeyAxes
from normexp.views.loss_curves import by_run, loss_curves, mean_curve

STEPS = np.arange(1, 101)


def drawn(ends: list[float], floor: float = 0.0, variants: int = 1, norm: str = "layer_norm") -> Figure:
    """One run per end, of as many variants, which fall from 4 to it; the blind loss is 2 above the floor."""
    names = [f"v{number % variants}" for number in range(len(ends))]
    runs = pd.DataFrame({"variant": names, "seed": range(len(ends)), "final_loss": ends})
    runs = runs.assign(folder=[f"sweep/{seed}" for seed in runs["seed"]], state="completed", outcome="trained")
    runs = runs.assign(
        depth=6, norm=norm, **{"baseline.blind": floor + 2, "baseline.floor": floor, "baseline.bar": floor + 1}
    )
    curves = [
        pd.DataFrame({"folder": folder, "step": STEPS, "value": end + (4 - end) * np.exp(-STEPS / 10)})
        for folder, end in zip(runs["folder"], ends, strict=True)
    ]
    return loss_curves(runs, pd.concat(curves), KeyAxes("depth", "variant", []), None)


def mean(figure: Figure) -> np.ndarray:
    (line,) = (line for line in figure.axes[0].lines if line.get_linewidth() == 1.5)
    return np.asarray(line.get_ydata())


def test_far_from_the_floor_the_axis_is_linear() -> None:
    figure = drawn([1.0, 1.4])
    assert figure.axes[0].get_yscale() == "linear"
    assert figure.axes[0].get_ylim()[0] == 0
    assert mean(figure)[-1] == pytest.approx(1.2, abs=0.01)


def test_at_the_floor_axis_and_mean_are_logarithmic() -> None:
    figure = drawn([0.501, 1.3], floor=0.5)
    (axis,) = figure.axes
    assert (axis.get_yscale(), axis.get_ylabel()) == ("log", "loss − floor (nats per token)")
    # Without the exponential, 0.001 and 0.8 above the floor.
    fall = np.exp(-STEPS / 10)
    expected = np.sqrt((0.001 + 3.499 * fall) * (0.8 + 2.7 * fall))
    assert mean(figure)[50] == pytest.approx(expected[50], rel=0.01)
    assert [text.get_text() for text in axis.texts] == ["bar 1.00", "source-blind 2.00"]
    assert "The floor is 0.50." in figure.get_label()
    assert "geometric mean over the seeds" in figure.get_label()


def test_a_seed_without_any_finite_loss_leaves_no_mean() -> None:
    runs = pd.DataFrame({"folder": ["a", "b"], "state": "completed"})
    curves = pd.DataFrame({"folder": ["a", "a", "b"], "step": [1, 2, 1], "value": [2.0, 1.0, np.nan]})
    assert mean_curve(runs, by_run(curves), 1, log=False).empty
    assert len(mean_curve(runs[:1], by_run(curves), 1, log=False)) == 2


def test_losses_below_the_floor_leave_a_gap() -> None:
    """A batch may be easier than the corpus."""
    figure = drawn([0.48], floor=0.5)
    assert figure.axes[0].get_yscale() == "log"
    assert np.isnan(mean(figure)[-1])
    assert figure.axes[0].get_ylim()[0] > 0


@pytest.mark.slow
def test_many_variants_are_named_at_the_ends_of_their_lines() -> None:
    figure = drawn([0.01 * 1.3**number for number in range(12)], variants=12)
    assert [text.get_text() for text in figure.axes[0].texts] == [f"v{number}" for number in range(12)]
    assert figure.legends[0].get_texts() == []


def test_the_caption_says_what_is_drawn() -> None:
    several, one = (" ".join(drawn(ends).get_label().split()) for ends in ([1.0, 1.4], [1.0]))
    assert "Thin: every seed and step, unsmoothed. Thick: mean over the seeds of a running mean of 3 steps." in several
    assert "Thin: every step, unsmoothed. Thick: running mean of 3 steps." in one
    assert "other texts" not in several


def test_the_caption_warns_of_norms_over_the_batch() -> None:
    caption = " ".join(drawn([1.0], norm="batch_norm").get_label().split())
    assert "batch_norm normalises over all texts of a batch, so a training loss may profit from other texts." in caption
