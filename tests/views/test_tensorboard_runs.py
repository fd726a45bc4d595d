"""What TensorBoard shows with the runs: profiles over the layers and means over the seeds."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from normexp.views.figure_files import figure_files, up_to_date
from normexp.views.figures import draw
from normexp.views.runs import load_runs
from normexp.views.tensorboard_runs import configurations, layer_maps, mean, profile

SITE = {"stack": "encoder", "site": "attention", "parameter": ""}


def layers(*rows: tuple[str, int, int, str, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["folder", "step", "layer", "statistic", "value"]).assign(**SITE)


def test_a_profile_is_log10_of_gradient_norms_over_seeds() -> None:
    found = profile(
        layers(
            *(("a", 1, 1, "grad_norm", 10.0), ("b", 1, 1, "grad_norm", 1000.0)),
            *(("a", 5, 1, "grad_norm", 1.0), ("b", 9, 1, "grad_norm", 1.0), ("a", 1, 2, "rank", 7.0)),
        )
    )
    assert found == {
        1: {
            "depth_profile_log10_grad_norm/start encoder.attention": pytest.approx(2.0),
            "depth_profile_log10_grad_norm/end encoder.attention": pytest.approx(0.0),
        },
        2: {"depth_profile_rank/start encoder.attention": pytest.approx(7.0)},
    }


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_a_layer_where_a_seed_is_gone_has_no_point(value: float) -> None:
    found = profile(layers(("a", 1, 1, "grad_norm", value), ("b", 1, 1, "grad_norm", 1.0)))
    assert found == {}


def test_what_is_measured_once_has_no_end() -> None:
    found = profile(layers(("a", 1, 3, "grad_norm", 1.0)))
    assert list(found[3]) == ["depth_profile_log10_grad_norm/start encoder.attention"]


def test_a_mean_needs_all_seeds() -> None:
    rows = [("a", 1, 2.0), ("b", 1, 4.0), ("a", 2, 2.0), ("b", 2, np.nan), ("a", 3, 1.0)]
    curves = pd.DataFrame(rows, columns=["folder", "step", "value"]).assign(statistic="nll", split="train")
    assert mean(curves) == {1: {"curves/nll/train": 3.0, "spread/nll/train": pytest.approx(2**0.5)}}


def test_configurations_are_named_as_runs_are(sweep: Path) -> None:
    found = configurations(load_runs(sweep))
    assert list(found)[:2] == ["depth06-post_ln", "depth06-pre_ln"]
    assert {len(runs) for runs in found.values()} == {2}


@pytest.mark.slow
def test_layer_maps_have_one_figure_per_depth(sweep: Path) -> None:
    assert [name for name, _ in layer_maps(load_runs(sweep))] == ["depth=6", "depth=12", "depth=18"]


@pytest.mark.usefixtures("svg_alone")
def test_figures_are_up_to_date_until_a_run_changes(make_sweep: Callable[..., Path]) -> None:
    sweep = make_sweep(depth=[6], variant=["post_ln"])
    runs = load_runs(sweep)
    assert up_to_date(sweep, runs) == []
    figures = draw(sweep)
    later = time.time() + 10
    for path in figures:
        os.utime(path, (later, later))
    assert up_to_date(sweep, runs) == sorted(figures)
    for changed in (sweep / "sweep.json", *sweep.glob("*/status.json")):
        before = changed.stat().st_mtime
        os.utime(changed, (later + 1, later + 1))
        assert up_to_date(sweep, runs) == []
        os.utime(changed, (before, before))


@pytest.mark.slow
def test_figures_older_than_a_run_are_drawn_again(sweep: Path, tmp_path: Path) -> None:
    drawn = figure_files(sweep, load_runs(sweep), tmp_path / "new")
    assert drawn
    assert {path.parent for path in drawn} == {tmp_path / "new"}
