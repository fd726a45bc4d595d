"""Tables and figures of probe values: which rows represent a layer, and how they are drawn."""

import importlib
import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from matplotlib.figure import Figure
from rich.console import Console

from normexp.probes.read_out import ReadOut
from normexp.views import probe_figures
from normexp.views.probe_table import statistics_of, tables
from normexp.views.runs import load_runs
from normexp.views.table import markdown, table

Value = Callable[[str, int, int], float]
SITES = ("attention", "feed_forward")


@pytest.fixture
def folder(make_sweep: Callable[..., Path]) -> Path:
    return make_sweep(depth=[6, 12], variant=["post_ln", "pre_ln"], seed=[0, 1])


def add(folder: Path, statistic: str, value: Value, steps: tuple[int, ...] = (1, 100), sites: tuple = SITES) -> None:
    """Write a statistic into every run: a function of the variant, the layer and the seed, for feed-forwards.

    Other sites and earlier steps have a value that must not be shown.
    """
    for run in load_runs(folder).to_dict("records"):
        path = Path(run["folder"]) / "layers.parquet"
        rows = [
            (step, stack, layer, site, "", statistic,
             value(run["variant"], layer, run["seed"]) if (step, site) == (steps[-1], sites[-1]) else -1e6)
            for step in steps
            for stack in ("encoder", "decoder")
            for layer in range(1, run["depth"] + 1)
            for site in sites
        ]  # fmt: skip
        known = pd.read_parquet(path)
        pd.concat([known, pd.DataFrame(rows, columns=known.columns)]).to_parquet(path, index=False)


def figures(folder: Path) -> dict[str, Figure]:
    return dict(probe_figures.figures(load_runs(folder)))


def caption(figure: Figure) -> str:
    return " ".join(text.get_text() for text in figure.texts if text.get_fontsize() == 6.5)


def text(folder: Path, statistic: str) -> list[list[str]]:
    """The lines of the table of a statistic, as words."""
    (read,) = (read for read in tables(load_runs(folder)) if read.statistic == statistic)
    return [" ".join(line).split() for line in (read.columns, *read.rows)]


def untrained(folder: Path) -> Path:
    """The same runs as if nothing had been trained."""
    for path in folder.rglob("config.yaml"):
        path.write_text(path.read_text().replace("steps: 100", "steps: 0"))
    return folder


@pytest.mark.slow
def test_a_figure_per_statistic(folder: Path) -> None:
    add(folder, "Stream norm/2", lambda variant, layer, seed: layer)  # the name of a statistic is free
    add(folder, "branch_norm", lambda variant, layer, seed: layer)
    assert list(figures(folder)) == ["probe_Stream_norm_2", "probe_branch_norm"]


@pytest.mark.slow
def test_panels_are_depths_and_stacks_and_lines_are_variants(folder: Path) -> None:
    add(folder, "stream_norm", lambda variant, layer, seed: layer + 2 * seed + 10 * (variant == "pre_ln"))
    figure = figures(folder)["probe_stream_norm"]
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["depth 6", "depth 12", "", ""]
    assert [axis.get_ylabel().split("\n")[0] for axis in figure.axes] == ["encoder", "", "decoder", ""]
    for axis, depth in zip(figure.axes, (6, 12, 6, 12), strict=True):
        post, pre = (line for line in axis.lines if line.get_label() == "_mean")
        np.testing.assert_allclose(post.get_ydata(), np.arange(1, depth + 1) + 1)  # mean over seeds 0 and 1
        np.testing.assert_allclose(pre.get_ydata(), np.arange(1, depth + 1) + 11)
    assert [label.get_text() for label in figure.legends[0].get_texts()] == ["post_ln", "pre_ln"]
    assert figure.texts[0].get_text() == "stream norm"
    assert "n = 2 seeds" in " ".join(text.get_text() for text in figure.texts)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("values", "log"),
    [((1, 29), False), ((1, 31), True), ((0, 31), False), ((-1, 31), False), ((1e-9, 1), True), ((5, 5), False)],
)
def test_an_axis_is_logarithmic_where_values_span_more_than_30(
    folder: Path, values: tuple[float, float], log: bool
) -> None:
    add(folder, "stream_norm", lambda variant, layer, seed: values[layer % 2])
    figure = figures(folder)["probe_stream_norm"]
    assert {axis.get_yscale() for axis in figure.axes} == {"log" if log else "linear"}
    assert ("geometric mean" in caption(figure)) == log


@pytest.mark.slow
def test_what_is_not_finite_does_not_decide(folder: Path) -> None:
    add(folder, "stream_norm", lambda variant, layer, seed: np.inf if layer == 6 and seed else 100.0**layer)
    figure = figures(folder)["probe_stream_norm"]
    assert figure.axes[0].get_yscale() == "log"
    assert [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_label() == "_gone"] == [6, 6]
    add(folder, "branch_norm", lambda variant, layer, seed: np.nan)
    assert list(figures(folder)) == ["probe_stream_norm"]


@pytest.mark.slow
@pytest.mark.parametrize(("steps", "when"), [((1,), "at initialisation"), ((1, 50, 100), "at step 100")])
def test_the_caption_says_where_and_when(folder: Path, steps: tuple[int, ...], when: str) -> None:
    add(folder, "stream_norm", lambda variant, layer, seed: layer, steps)
    for run in load_runs(folder)["folder"]:  # the runs' other statistics go on to step 100
        path = Path(run) / "layers.parquet"
        pd.read_parquet(path).query("statistic == 'stream_norm'").to_parquet(path, index=False)
    assert f"At the feed-forward of every layer, {when}." in caption(figures(folder)["probe_stream_norm"])


@pytest.mark.slow
def test_captions_and_tables_say_what_is_measured(folder: Path) -> None:
    """From the probe classes in the configs of the runs; an unknown class gives no text."""
    add(folder, "position_r2", lambda variant, layer, seed: 1 / layer)
    add(folder, "mine", lambda variant, layer, seed: layer)
    for path in folder.rglob("config.yaml"):
        probes = {"read_out": {"_target_": "normexp.probes.read_out.ReadOut"}, "mine": {"_target_": "no.such.Probe"}}
        path.write_text(path.read_text() + json.dumps({"probes": probes})[1:-1] + "\n")
    meaning = ReadOut.statistics["position_r2"]
    assert caption(figures(folder)["probe_position_r2"]).startswith(meaning)
    assert caption(figures(folder)["probe_mine"]).startswith("At the feed-forward")
    titles = [each.title for each in tables(load_runs(folder))]
    assert f"position_r2 ({meaning}; good: {ReadOut.good})" in titles
    assert "mine" in titles


def test_every_probe_says_what_its_statistics_mean() -> None:
    for path in Path("configs/probe").glob("*.yaml"):
        target = yaml.safe_load(path.read_text())["_target_"]
        module, _, name = target.rpartition(".")
        probe = getattr(importlib.import_module(module), name)
        assert probe.measures, name
        assert probe.good, name
        assert probe.statistics, name
        said = {path.stem: probe.measures} | probe.statistics
        runs = pd.DataFrame({f"probes.{path.stem}._target_": [target]})
        assert statistics_of(runs) == {each: f"{meaning}; good: {probe.good}" for each, meaning in said.items()}


@pytest.mark.slow
def test_captions_need_no_torch() -> None:
    code = (
        "import sys, pandas\n"
        "from normexp.views.probe_table import statistics_of\n"
        "target = 'normexp.probes.gradient_norm.GradientNorm'\n"
        "assert statistics_of(pandas.DataFrame({'probes.gradient_norm._target_': [target]}))\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_without_a_feed_forward_attention_represents_a_layer(folder: Path) -> None:
    add(folder, "logit", lambda variant, layer, seed: layer, sites=("cross_attention", "attention"))
    figure = figures(folder)["probe_logit"]
    assert "At the attention of every layer" in caption(figure)
    assert list(figure.axes[0].lines[0].get_ydata()) == [1, 2, 3, 4, 5, 6]


@pytest.mark.slow
def test_what_belongs_to_a_whole_layer_is_drawn_too(folder: Path) -> None:
    add(folder, "skip_rise", lambda variant, layer, seed: layer, sites=("",))
    figure = figures(folder)["probe_skip_rise"]
    assert caption(figure).startswith("At every layer, at step 100.")
    assert list(figure.axes[0].lines[0].get_ydata()) == [1, 2, 3, 4, 5, 6]


def test_the_table_shows_the_first_and_the_last_layer(folder: Path) -> None:
    add(folder, "stream_norm", lambda variant, layer, seed: layer + seed + 10 * (variant == "pre_ln"))
    lines = text(folder, "stream_norm")
    assert lines[0][:2] == ["depth", "variant"]
    assert " ".join(lines[0][2:]) == "encoder first layer encoder last layer decoder first layer decoder last layer"
    assert lines[1:] == [
        ["6", "post_ln", "1.5", "6.5", "1.5", "6.5"],
        ["6", "pre_ln", "11.5", "16.5", "11.5", "16.5"],
        ["12", "post_ln", "1.5", "12.5", "1.5", "12.5"],
        ["12", "pre_ln", "11.5", "22.5", "11.5", "22.5"],
    ]


@pytest.mark.slow
def test_whole_stack_values_have_a_column_and_no_figure(folder: Path) -> None:
    for run in load_runs(folder).to_dict("records"):
        path = Path(run["folder"]) / "layers.parquet"
        known = pd.read_parquet(path)
        row = pd.DataFrame([(100, "decoder", 0, "", "", "output_shift", 0.1 + run["seed"])], columns=known.columns)
        pd.concat([known, row]).to_parquet(path, index=False)
    assert "probe_output_shift" not in figures(folder)
    lines = text(folder, "output_shift")
    assert lines[:2] == [["depth", "variant", "decoder"], ["6", "post_ln", "0.6"]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("grid", "titles", "keys", "names"),
    [
        ({"depth": [6], "variant": ["post_ln", "pre_ln"], "seed": [0]}, [""], ["variant"], ["post_ln", "pre_ln"]),
        ({"depth": [2], "variant": ["pre_ln"], "lr": [1e-3, 2e-3]}, [""], ["lr"], ["lr 1e-3", "lr 2e-3"]),
        ({"depth": [3, 6], "variant": ["pre_ln"]}, ["depth 3", "depth 6"], ["depth"], ["pre_ln"]),
    ],
)
def test_what_is_not_swept_is_no_column_and_no_panel(
    make_sweep: Callable[..., Path], grid: dict, titles: list[str], keys: list[str], names: list[str]
) -> None:
    folder = make_sweep(**grid)
    about = json.loads((folder / "sweep.json").read_text())
    swept = [key for key in about["swept"] if len(grid[key]) > 1]
    (folder / "sweep.json").write_text(json.dumps({**about, "swept": swept}))
    add(folder, "stream_norm", lambda variant, layer, seed: layer)
    figure = figures(folder)["probe_stream_norm"]
    assert [axis.get_title(loc="left") for axis in figure.axes[: len(titles)]] == titles
    assert [label.get_text() for label in figure.legends[0].get_texts()] == names
    columns = [word for stack in ("encoder", "decoder") for word in (stack, "first", "layer", stack, "last", "layer")]
    assert text(folder, "stream_norm")[0] == [*keys, *columns]


def test_a_single_run_has_a_figure_and_a_table(make_run: Callable[..., Path], tmp_path: Path) -> None:
    run = make_run(tmp_path / "train" / "post_ln-depth06", depth=6, variant="post_ln")
    add(run, "stream_norm", lambda variant, layer, seed: layer)
    assert list(figures(run)["probe_stream_norm"].axes[0].lines[0].get_ydata()) == [1, 2, 3, 4, 5, 6]
    assert text(run, "stream_norm")[1:] == [["1", "6", "1", "6"]]


@pytest.mark.slow
def test_without_training_probe_values_are_the_results(folder: Path) -> None:
    add(untrained(folder), "stream_norm", lambda variant, layer, seed: layer + seed)
    out = io.StringIO()
    Console(width=200, file=out).print(table(load_runs(folder)))
    lines = [line.split() for line in out.getvalue().splitlines()]
    at = lines.index(["stream_norm"])
    assert lines[at + 2] == ["6", "post_ln", "1.5", "6.5", "1.5", "6.5"]
    assert ["grad_norm"] in lines
    written = markdown(load_runs(folder))
    assert "\n\nstream_norm:\n\n| depth | variant | encoder first layer |" in written
    assert "\n| 6 | post_ln | 1.5 | 6.5 | 1.5 | 6.5 |\n" in written
    assert not any(word in text for text in (out.getvalue(), written) for word in ("baselines", "outcome", "lr"))


def test_a_run_that_failed_is_named(make_sweep: Callable[..., Path], make_run: Callable[..., Path]) -> None:
    folder = make_sweep(depth=[6], variant=["post_ln", "pre_ln"])
    broken = folder / "depth=06,variant=pre_ln-1a2b3c4d"
    shutil.rmtree(broken)
    make_run(broken, depth=6, variant="pre_ln", state="failed")
    out = io.StringIO()
    Console(width=200, file=out).print(table(load_runs(untrained(folder))))
    assert "completed 1/2, failed 1/2" in out.getvalue()
    assert f"failed: {broken.name}: ValueError: no such thing; log:" in out.getvalue()


def test_runs_without_probes_have_neither(folder: Path) -> None:
    for path in folder.rglob("layers.parquet"):
        path.unlink()
    assert figures(folder) == {}
    assert list(tables(load_runs(folder))) == []
