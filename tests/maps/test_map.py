"""A map from the command line: search, fresh seeds, page, resume; and what it refuses."""

import json
import math
from dataclasses import replace

import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from normexp.cli import app
from normexp.data.corpus import load_corpus
from normexp.maps.known import known_runs
from normexp.maps.rates import Tried
from normexp.maps.report import steps_of_grid
from normexp.maps.survey import Survey, survey
from normexp.records.folder import RunFolder
from normexp.sweep import worker
from normexp.sweep.plan import PlannedRun
from tests.support.configs import config_of

TINY = ["model.width=16", "model.feed_forward=16", "steps=20", "training.batch_tokens=400", "data.sequences=200"]
ONE = ["variant=pre_ln,post_ln", "depth=1,2", *TINY]


@pytest.mark.slow
@pytest.mark.usefixtures("no_pdf", "no_workers")
def test_a_map_ends_with_a_page_and_resumes_without_a_run(tmp_path, monkeypatch):
    monkeypatch.setenv("NORMEXP_RESULTS", str(tmp_path / "results"))
    command = ["map", *ONE, "--seeds", "2", "--name", "try", "--best-only", "--out", str(tmp_path / "out")]
    command += ["--jobs", "12"]  # so many that deeper stacks do not wait
    first = CliRunner().invoke(app, command, catch_exceptions=False)
    assert first.exit_code == 0, first.output
    folder = tmp_path / "results" / "try"
    points = pd.read_csv(tmp_path / "out" / "points.csv")
    assert points[["variant", "depth"]].values.tolist() == [[v, d] for v in ("pre_ln", "post_ln") for d in (1, 2)]
    assert (points["n"] == 2).all()
    runs = pd.read_csv(tmp_path / "out" / "runs.csv")
    assert (runs[runs["seed"] == 100].groupby(["variant", "depth"]).size() >= 3).all()
    for figure in ("rates", "ranking"):
        Image.open(tmp_path / "out" / "figures" / f"{figure}.png").verify()
    assert "were chosen on seed 100; losses" in (tmp_path / "out" / "map.md").read_text()
    folders = [RunFolder(folder / name) for name in json.loads((folder / "sweep.json").read_text())["runs"]]
    assert {run.config.training.stop_stuck for run in folders if run.config.seed != 100} == {""}
    before = {run.name: run.status["attempts"] for run in folders}
    again = CliRunner().invoke(app, command, catch_exceptions=False)
    assert again.exit_code == 0
    assert {run.name: run.status["attempts"] for run in folders} == before


@pytest.mark.slow
@pytest.mark.usefixtures("no_pdf", "no_workers")
def test_the_runs_of_an_earlier_map_are_not_trained_again(tmp_path, monkeypatch):
    """A map of one depth, and a larger one elsewhere that knows it, are the larger one alone."""
    map_of = ["map", "variant=pre_ln", "seeds", *TINY, "--seeds", "2", "--best-only", "--jobs", "1"]
    found, folders = {}, {}
    for name, depth, known in (("small", "1", ""), ("large", "1,2", "small"), ("whole", "1,2", "")):
        monkeypatch.setenv("NORMEXP_RESULTS", str(tmp_path / name))
        words = [f"depth={depth}" if word == "seeds" else word for word in map_of]
        words += ["--known", str(tmp_path / known / "map" / "runs.csv")] if known else []
        made = CliRunner().invoke(app, [*words, "--name", "map"], catch_exceptions=False)
        assert made.exit_code == 0, made.output
        found[name] = pd.read_csv(tmp_path / name / "map" / "points.csv")
        folders[name] = {RunFolder(path.parent).config.depth for path in (tmp_path / name).glob("map/*/config.yaml")}
    assert folders == {"small": {1}, "large": {2}, "whole": {1, 2}}
    pd.testing.assert_frame_equal(found["large"], found["whole"], rtol=1e-4)  # a table has six digits
    runs = len(pd.read_csv(tmp_path / "small" / "map" / "runs.csv"))
    assert f"({runs} of them by an earlier map)" in (tmp_path / "large" / "map" / "map.md").read_text()


def blind_of(*words):
    """The loss of a model that does not read its input, with the digits that a table has."""
    config = config_of(*words)
    return f"{load_corpus(config.data).baselines_for(config.task.name)['blind']:.6g}"


@pytest.mark.parametrize(
    ("rows", "words", "message"),
    [
        ("variant,depth", "", "--known must be the runs.csv of a map; got {table}"),
        ("", "init=normal,xavier_uniform", "--known {table} has no column init, by which the runs of this map differ"),
        ("", "steps=30", "--known {table} is of runs with 20 steps; those here have 30"),
        ("", "", "--known {table} has all runs of this map already"),
        (
            "",
            "data.sequences=300",
            "--known {table} is of runs on other data: data=docstrings has blind loss {blind} here and {kept} there",
        ),
    ],
)
def test_a_table_of_another_map_is_refused(rows, words, message, tmp_path, monkeypatch):
    monkeypatch.setenv("NORMEXP_RESULTS", str(tmp_path / "results"))
    table = tmp_path / "runs.csv"
    columns = "variant,depth,data,floor,blind,lr,seed,loss,outcome,step\n"
    rates = [(0.0015, 100, 2), (0.003, 100, 1), (0.006, 100, 2), (0.003, 0, 1)]
    kept, blind = (blind_of("task=language_modelling", f"data.sequences={sequences}") for sequences in (200, 300))
    made = "".join(f"pre_ln,1,docstrings,0,{kept},{lr},{seed},{loss},trained,20\n" for lr, seed, loss in rates)
    table.write_text(rows or columns + made)
    command = ["map", "variant=pre_ln", "depth=1", "data=docstrings", *TINY, "--seeds", "1"]
    command = [word for word in command if word.partition("=")[0] not in words] + words.split()
    result = CliRunner().invoke(app, [*command, "--best-only", "--known", str(table)])
    assert (result.exit_code, result.stderr) == (2, f"error: {message.format(table=table, blind=blind, kept=kept)}\n")
    assert not (tmp_path / "results").exists()


def test_numbers_and_none_are_known_however_the_table_writes_them(tmp_path):
    """A column of whole and other numbers, or with an empty cell, is read as another type than the config has."""
    config = config_of("steps=20", "depth=1", "lr=3e-3", "seed=100")
    levels = load_corpus(config.data).baselines_for("translation")
    end = f"cldr_dates,{levels['floor']},{levels['blind']},0.003,100,2,trained,20"
    rates = [f"pre_ln,1,{eps},{alpha},{end}" for eps, alpha in (("1e-05", ""), ("1.0", ""), ("1", "2.0"))]
    table = tmp_path / "runs.csv"
    head = "variant,depth,norm.eps,variant.alpha,data,floor,blind,lr,seed,loss,outcome,step"
    table.write_text("\n".join([head, *rates]) + "\n")

    def run(name, eps, alpha):
        options = {"eps": eps}
        norm = replace(config.norm, options=options)
        variant = replace(config.variant, name="pre_ln", options={"alpha": alpha})
        return PlannedRun(replace(config, norm=norm, variant=variant), name)

    planned = [run("a", 1e-5, None), run("b", 1, None), run("c", 1, 2)]
    found = known_runs(table, planned, ["norm.eps", "variant.alpha"])
    assert {name: (row["norm.eps"], row["variant.alpha"]) for name, row in found.items()} == {
        "a": (1e-5, None),
        "b": (1, None),
        "c": (1, 2),
    }


@pytest.mark.slow
@pytest.mark.usefixtures("no_pdf", "no_workers")
def test_a_map_whose_new_runs_are_seeds_alone_has_a_page(tmp_path, monkeypatch):
    """And one in which every run of a value of another key is known."""
    line = ["map", "variant=pre_ln", "depth=1", *TINY, "--best-only", "--jobs", "1", "--name", "map"]
    monkeypatch.setenv("NORMEXP_RESULTS", str(tmp_path / "small"))
    small = CliRunner().invoke(app, [*line, "init=normal,small", "--seeds", "1"], catch_exceptions=False)
    assert small.exit_code == 0, small.output
    table = tmp_path / "small" / "map" / "runs.csv"
    runs = pd.read_csv(table)
    fresh = (runs["seed"] != 100) & (runs["init"] == "small")
    runs[~fresh].to_csv(table, index=False)  # the one fresh seed of one init is missing
    monkeypatch.setenv("NORMEXP_RESULTS", str(tmp_path / "large"))
    large = CliRunner().invoke(
        app, [*line, "init=normal,small", "--seeds", "1", "--known", str(table)], catch_exceptions=False
    )
    assert large.exit_code == 0, large.output
    assert len(list((tmp_path / "large" / "map").glob("*/config.yaml"))) == 1
    assert len(pd.read_csv(tmp_path / "large" / "map" / "points.csv")) == 2


@pytest.mark.slow
@pytest.mark.usefixtures("no_pdf", "no_workers")
def test_one_depth_and_other_axes_have_a_page_too(tmp_path, monkeypatch):
    """With figures of their own for each combination, and with one seed a loss without an interval."""
    monkeypatch.setenv("NORMEXP_RESULTS", str(tmp_path / "results"))
    axes = ["variant=pre_ln", "depth=1", "init=xavier_uniform,normal", *TINY, "--seeds", "1", "--best-only"]
    made = CliRunner().invoke(app, ["map", *axes, "--out", str(tmp_path / "out")], catch_exceptions=False)
    assert made.exit_code == 0, made.output
    inits, points = ("xavier_uniform", "normal"), pd.read_csv(tmp_path / "out" / "points.csv")
    assert points[["variant", "depth", "init"]].values.tolist() == [["pre_ln", 1, init] for init in inits]
    figures = {path.name for path in (tmp_path / "out" / "figures").glob("*.png")}
    assert figures == {f"{name}-init={init}.png" for name in ("rates", "ranking") for init in inits}
    assert "nan" not in (tmp_path / "out" / "map.md").read_text()


@pytest.mark.slow
@pytest.mark.usefixtures("no_pdf", "no_workers")
def test_a_run_that_fails_does_not_end_the_others(tmp_path, monkeypatch):
    def fails(folder, config, *rest):
        if config.variant.name == "post_ln":
            raise RuntimeError("no memory")
        yield from start(folder, config, *rest)

    start = worker.start
    monkeypatch.setattr(worker, "start", fails)
    monkeypatch.setenv("NORMEXP_RESULTS", str(tmp_path))
    command = ["map", "variant=post_ln,pre_ln", "depth=1", *TINY, "--seeds", "2", "--name", "try", "--best-only"]
    made = CliRunner().invoke(app, command, catch_exceptions=False)
    assert made.exit_code == 1
    assert "some runs failed" in made.stderr
    assert pd.read_csv(tmp_path / "try" / "points.csv")[["variant", "n"]].values.tolist() == [["pre_ln", 2]]
    monkeypatch.setattr(worker, "start", start)
    again = CliRunner().invoke(app, command, catch_exceptions=False)
    assert again.exit_code == 0, again.output
    assert set(pd.read_csv(tmp_path / "try" / "points.csv")["n"]) == {2}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "seed=1",
            "seed cannot be set for `normexp map`; the search uses seed 100, and --seeds N sets the number of fresh "
            "seeds",
        ),
        ("lr=1e-3,2e-3", "lr must have one value for `normexp map`, the rate at which the search starts"),
        ("depth=0", "depth must be at least 1; got 0"),
        ("steps=0 warmup=0", "steps must be at least 1 for `normexp map`; got 0"),
    ],
)
def test_bad_overrides_get_one_sentence(override, message, tmp_path, monkeypatch):
    monkeypatch.setenv("NORMEXP_RESULTS", str(tmp_path / "results"))
    result = CliRunner().invoke(app, ["map", *override.split()])
    assert (result.exit_code, result.stderr) == (2, f"error: {message}\n")
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
def test_every_point_has_eleven_rates_around_the_start(tmp_path):
    asked = survey([*ONE, "lr=2e-3", f"results={tmp_path}"], seeds=3)
    assert len(asked.points) == 4
    for point in asked.points:
        rates = [run.config.lr for run in asked.tuning[point].values()]
        assert rates == pytest.approx([2e-3 * 2.0**k for k in range(-5, 6)])
        assert all(run.config.seed == 100 for run in asked.tuning[point].values())
        assert [run.config.seed for run in asked.final[point][0]] == [0, 1, 2]


@pytest.mark.slow
def test_more_seeds_go_on_with_the_same_search(tmp_path):
    one, more = (survey([*ONE, f"results={tmp_path}"], seeds=number) for number in (1, 2))
    assert one.sweep.path == more.sweep.path
    assert one.tuning == more.tuning
    assert one.sweep.path != survey([*ONE, "steps=4", f"results={tmp_path}"], seeds=1).sweep.path


def test_a_depth_waits_for_shallower_ones_of_its_kind(tmp_path, monkeypatch):
    asked = survey(["variant=pre_ln,post_ln", "depth=1,2", *TINY, f"results={tmp_path}"])
    done = {}
    monkeypatch.setattr(Survey, "tried", lambda _, point: done.get((point.variant.name, point.depth), {}))

    def next_rates():
        points = {(point.variant.name, point.depth): asked.next_runs(point) for point in asked.points}
        return {at: [round(math.log2(run.config.lr / 3e-3)) for run in runs] for at, runs in points.items() if runs}

    assert next_rates() == {("pre_ln", 1): [0, 1], ("post_ln", 1): [0, 1]}
    done["pre_ln", 1] = {k: Tried(abs(k + 2), True) for k in (-3, -2, -1)}
    monkeypatch.setattr(Survey, "_reducible", lambda *_: 0.0)
    assert next_rates() == {("pre_ln", 2): [-2, -1], ("post_ln", 1): [0, 1]}
    assert [point.depth for point in asked.found()] == [1]


@pytest.mark.slow
def test_a_round_has_the_seeds_of_points_that_are_found(tmp_path, monkeypatch):
    asked = survey(["variant=pre_ln,post_ln", "depth=1,2", *TINY, f"results={tmp_path}"], seeds=2, window=False)
    done = {("pre_ln", 1): {k: Tried(abs(k), True) for k in (-1, 0, 1)}}
    monkeypatch.setattr(Survey, "tried", lambda _, point: done.get((point.variant.name, point.depth), {}))

    def todo(slots):
        return [(run.config.variant.name, run.config.depth, run.config.seed) for run in asked.todo(slots)]

    rates = [("pre_ln", 2, 100), ("pre_ln", 2, 100), ("post_ln", 1, 100), ("post_ln", 1, 100)]
    seeds = [("pre_ln", 1, 0), ("pre_ln", 1, 1)]
    assert todo(slots=2) == todo(slots=12) == [*rates, *seeds]
    # More than half of the slots would be idle, so a point begins that would have waited.
    assert todo(slots=16) == [*rates, *seeds, ("post_ln", 2, 100), ("post_ln", 2, 100)]


@pytest.mark.slow
def test_a_depth_does_not_wait_for_runs_that_failed(tmp_path):
    asked = survey(["variant=pre_ln", "depth=1,2", *TINY, f"results={tmp_path}"])
    first = asked.todo()
    assert {run.config.depth for run in first} == {1}
    assert [run.config.depth for run in asked.todo(failed={run.name for run in first})] == [2, 2]


@pytest.mark.slow
def test_a_stack_of_runs_keeps_one_worker_busy(tmp_path):
    asked = survey(["variant=pre_ln", "depth=1,2,3", *TINY, "training.stacked=4", f"results={tmp_path}"])
    assert [run.config.depth for run in asked.todo(slots=2)] == [1, 1]
    assert [run.config.depth for run in asked.todo(slots=4)] == [1, 1, 2, 2]


@pytest.mark.slow
def test_another_key_can_be_an_axis(tmp_path):
    asked = survey(["variant=pre_ln", "depth=1", "norm=layer_norm,rms_norm", *TINY, f"results={tmp_path}"])
    assert [point.norm.name for point in asked.points] == ["layer_norm", "rms_norm"]


@pytest.mark.slow
def test_the_full_grid_counts_the_steps_of_each_point(tmp_path):
    asked = survey(["variant=pre_ln", "depth=1", *TINY, "steps=4,8", f"results={tmp_path}"], seeds=2)
    assert steps_of_grid(asked) == (11 + 2) * (4 + 8)


@pytest.mark.slow
def test_many_depths_are_asked_in_time_that_grows_with_their_number_squared(tmp_path, monkeypatch):
    """Once each depth asked all shallower ones, and those again all that are shallower than they."""
    asked = survey(["variant=pre_ln", "depth=range(1,13)", *TINY, f"results={tmp_path}"], window=False)
    reads = []

    def tried(_, point):
        reads.append(point)
        return {0: Tried(1.0, True)} if point.depth < 12 else {}

    monkeypatch.setattr(Survey, "tried", tried)
    assert asked.next_runs(asked.points[-1]) == []
    assert len(reads) <= 12


@pytest.mark.slow
def test_depths_are_alike_only_where_their_stacks_follow(tmp_path):
    """Else the best rates of 3 + 6 layers would count as those of 6 + 6."""
    line = ["task=translation", "variant=pre_ln", "depth=6,12", "model.encoder_depth=3,6"]
    asked = survey([*line, "model.width=16", "model.heads=2", f"results={tmp_path}"])
    alike = [{(each.depth, each.model.encoder_depth) for each in group} for group in asked._alike.values()]
    assert sorted(map(sorted, alike)) == [[(6, 3), (12, 3)], [(6, 6)], [(12, 6)]]
