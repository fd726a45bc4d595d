"""Maps of what two layers have: which panels there are, what is in a field, and what the caption says."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from normexp.views import probe_maps
from normexp.views.runs import load_runs


def add(folder: Path, value: Callable[[dict, str, int, str, int], float], steps: tuple[int, ...] = (1, 100)) -> None:
    """Write skip_map into every run: for each layer, every layer below it and every layer of a stack before it."""
    for run in load_runs(folder).to_dict("records"):
        path, depth = Path(run["folder"]) / "layers.parquet", run["depth"]
        pairs = [
            ("encoder", k, "encoder", j) for k in range(1, depth + 1) for j in range(1, k)
        ] + [("decoder", k, stack, j) for k in range(1, depth + 1) for stack in ("encoder", "decoder")
             for j in range(1, k if stack == "decoder" else depth + 1)]  # fmt: skip
        rows = [
            (step, stack, k, "", f"{below}.{j:02d}", "skip_map",
             value(run, stack, k, below, j) if step == steps[-1] else -1e6)
            for step in steps
            for stack, k, below, j in pairs
        ]  # fmt: skip
        known = pd.read_parquet(path)
        pd.concat([known, pd.DataFrame(rows, columns=known.columns)]).to_parquet(path, index=False)


def figures(folder: Path) -> dict[str, Figure]:
    return dict(probe_maps.figures(load_runs(folder)))


def panels(figure: Figure) -> dict[str, np.ndarray]:
    """The numbers of the visible panels, by the words above and beside them."""
    drawn = [axis for axis in figure.axes if axis.get_visible() and axis.images and axis.get_title(loc="left")]
    names = [
        f"{axis.get_title(loc='left')} {axis.get_ylabel().splitlines()[0] if axis.get_ylabel() else ''}"
        for axis in drawn
    ]
    return {
        name.strip(): np.ma.filled(axis.images[0].get_array().astype(float), np.nan)
        for name, axis in zip(names, drawn, strict=True)
    }


@pytest.mark.slow
def test_a_field_is_the_mean_over_the_seeds_at_the_last_step(make_sweep: Callable[..., Path]) -> None:
    folder = make_sweep(depth=[6], variant=["post_ln", "pre_ln"], seed=[0, 1])
    add(folder, lambda run, stack, k, below, j: k + 10 * j + 100 * (run["variant"] == "pre_ln") + run["seed"])
    figure = figures(folder)["probe_skip_map"]
    found = panels(figure)
    rows = ["encoder", "encoder → decoder", "decoder"]
    assert sorted(found) == sorted([*(f"post_ln {row}" for row in rows), "pre_ln"])  # rows are named at the left
    own = found["post_ln encoder"]
    assert own.shape == (5, 5)  # layers 1 to 5 are below layers 2 to 6
    expected = [[k + 10 * j + 0.5 if j < k else np.nan for k in range(2, 7)] for j in range(1, 6)]
    np.testing.assert_allclose(own, expected)
    assert found["post_ln encoder → decoder"].shape == (6, 6)
    assert "Measured at step 100." in " ".join(text.get_text() for text in figure.texts)


@pytest.mark.slow
def test_a_depth_has_a_figure(make_sweep: Callable[..., Path]) -> None:
    folder = make_sweep(depth=[3, 6], variant=["post_ln", "pre_ln"])
    add(folder, lambda run, stack, k, below, j: k / j, steps=(1,))
    found = figures(folder)
    assert list(found) == ["probe_skip_map-depth=3", "probe_skip_map-depth=6"]
    text = " ".join(text.get_text() for text in found["probe_skip_map-depth=3"].texts)
    assert "Measured at initialisation." in text
    assert "depth 3" in text


@pytest.mark.parametrize("value", [np.nan, None])
def test_nothing_measured_is_no_figure(make_sweep: Callable[..., Path], value: float | None) -> None:
    """Parameters of a site, as of gradient norms, are none of these; neither is what is nowhere finite."""
    folder = make_sweep(depth=[3], variant=["post_ln"])
    if value is not None:
        add(folder, lambda *_: value)
    assert figures(folder) == {}
