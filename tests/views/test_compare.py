from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from normexp.errors import ConfigError
from normexp.records.samples import GRAPH
from normexp.views.compare import compare, configuration, draw, means_of, parting, sides


def losses(values: list[float], folder: str = "a") -> pd.DataFrame:
    return pd.DataFrame({"step": range(1, len(values) + 1), "value": values, "folder": folder})


def test_losses_part_where_they_differ_to_the_end() -> None:
    ours = losses([4, 3, 2, 2, 2, 2.0])
    assert parting(means_of(ours, losses([4, 3, 1, 2, 1, 1]))) == 5
    assert parting(means_of(ours, losses([5, 4, 3, 3, 3, 3]))) == 1
    assert parting(means_of(ours, losses([4, 3, 2, 2, 2, 1.9]))) is None
    assert parting(means_of(ours, losses([4, 3, 1]))) == 3  # the steps that both have
    assert parting(means_of(ours, losses([]))) is None


def test_no_mean_over_the_runs_that_survived() -> None:
    ours = pd.concat([losses([4, 3, 1, 1]), losses([4, 3, np.nan, np.nan], "b")])
    assert parting(means_of(ours, losses([4, 3, 3, 3]))) is None


def test_no_mean_after_the_step_at_which_a_run_ended() -> None:
    """The trainer records one step that is not finite, and then stops."""
    ours = pd.concat([losses([4, 3, 2, 1, 1, 1]), losses([4, 3, np.nan], "b")])
    assert parting(means_of(ours, losses([4, 3, 9, 9, 9, 9]))) is None
    assert parting(means_of(ours, losses([9, 9, 9]))) == 1


@pytest.fixture
def two(make_sweep: Callable[..., Path]) -> tuple[Path, Path]:
    a = make_sweep("a", depth=[6], variant=["post_ln"], seed=[0, 1])
    b = make_sweep("b", depth=[6], variant=["no_residual"], seed=[0, 1])
    for folder, line in ((a, "x ← LN(x + A(x))"), (b, "x ← LN(A(x))")):
        for run in folder.glob("depth*"):
            (run / GRAPH).write_text(f"encoder layers 1–6\n  {line}\nencoder closes\n  output = x")
    return a, b


def test_different_data_is_said(two: tuple[Path, Path]) -> None:
    a, b = sides(*two)
    assert "different data" not in compare(a, b)
    b.runs["baseline.unigram"] += 0.01
    assert "was not the same for all runs (2 and 2 runs), so their losses cannot be compared" in compare(a, b)


def test_what_differs_is_said(two: tuple[Path, Path]) -> None:
    text = compare(*sides(*two))
    assert "Configuration\n  variant: post_ln | no_residual\n" in text
    assert "- encoder layers 1–6: x ← LN(x + A(x))\n  + encoder layers 1–6: x ← LN(A(x))\n\n" in text
    assert "a: 2 trained; final loss 0.310 ± 0.014 nats per token" in text
    assert "b: 2 stuck; final loss 1.960 ± 0.014 nats per token" in text
    assert "the losses differ by more than 10% of the larger one" in text
    assert "at the first step: most different at encoder layer 1, " in text


def test_models_that_were_not_trained_have_no_loss(two: tuple[Path, Path]) -> None:
    untrained = [
        replace(each, runs=each.runs.assign(steps=0, outcome=None, final_loss=None), losses=each.losses[:0])
        for each in sides(*two)
    ]
    text = compare(*untrained)
    assert "Training loss\n  a: not trained\n  b: not trained\n\n" in text


def test_a_mean_that_ends_early_is_said_to(two: tuple[Path, Path]) -> None:
    ours, theirs = sides(*two)
    cut = ours.losses[(ours.losses["folder"] != ours.losses["folder"].iloc[0]) | (ours.losses["step"] <= 5)]
    text = compare(replace(ours, losses=cut), theirs)
    assert "up to step 5, the last at which every run has a loss" in text
    assert "up to step" not in compare(ours, theirs)


def test_losses_of_different_units_are_not_compared(two: tuple[Path, Path]) -> None:
    a, b = sides(*two)
    b.runs["baseline.class_prior"] = 2.0
    text = compare(a, b)
    assert "the losses have different units, so they cannot be compared" in text
    assert "to the end, the losses differ" not in text


def test_what_is_pooled_over_other_keys_is_said(two: tuple[Path, Path], make_sweep: Callable[..., Path]) -> None:
    assert "differ in more than their seeds" not in compare(*sides(*two))
    several = make_sweep("c", depth=[6, 12], variant=["post_ln"])
    assert "what follows compares means over all runs of each side" in compare(*sides(two[0], several))


def test_a_run_and_itself_differ_in_nothing(two: tuple[Path, Path]) -> None:
    first, second = sorted(two[0].glob("depth*"))
    a, b = sides(first, second)
    assert list(configuration(a, b)) == ["seed: 0 | 1"]
    assert "Graph\n  the same\n" in compare(a, b)
    with pytest.raises(ConfigError, match="two different folders"):
        sides(first, first)


@pytest.mark.slow
def test_figures_are_drawn(two: tuple[Path, Path], tmp_path: Path) -> None:
    files = draw(*sides(*two), tmp_path / "out")
    assert {path.stem for path in files} == {"compare_loss", "compare_gradient_norms"}
    assert all(path.stat().st_size > 1000 for path in files)


@pytest.mark.slow
def test_a_diverged_run_is_compared(make_sweep: Callable[..., Path], tmp_path: Path) -> None:
    a = make_sweep("a", depth=[6], variant=["post_ln"], diverged_at=[70])
    b = make_sweep("b", depth=[6], variant=["pre_ln"])
    found = sides(a, b)
    assert "a: diverged\n" in compare(*found)
    assert draw(*found, tmp_path / "out")
