import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from normexp.errors import ConfigError
from normexp.sweep.plan import plan
from normexp.views.runs import load_runs, load_table, split_sweeps, swept_keys


def test_one_row_per_run_in_the_order_of_the_sweep(sweep: Path) -> None:
    frame = load_runs(sweep)
    assert len(frame) == 18
    assert list(frame["depth"].unique()) == [6, 12, 18]
    assert list(frame["variant"].unique()) == ["post_ln", "pre_ln", "no_residual"]
    first = frame.iloc[0]
    assert (first["variant"], first["norm"], first["norm.eps"], first["task"]) == (
        "post_ln",
        "layer_norm",
        1e-5,
        "translation",
    )
    assert first["baseline.unigram"] == 2.93
    assert first["data.languages"] == '["en", "fr"]'
    assert Path(first["folder"]).name == "depth=06,variant=post_ln,seed=0-1a2b3c4d"


@pytest.mark.slow
def test_a_planned_sweep_is_read_in_its_order(tmp_path: Path) -> None:
    """The order and the runs are those of the last command: earlier runs in the same folder are left out."""
    for norm in ("rms_norm", "layer_norm"):
        overrides = ["variant=pre_ln,post_ln", "depth=1", f"norm={norm}", f"results={tmp_path}"]
        plan("sweep", overrides, name="try").create()
    frame = load_runs(tmp_path)
    assert list(frame["variant"]) == ["pre_ln", "post_ln"]
    assert set(frame["norm"]) == {"layer_norm"}
    earlier = next(
        path for path in (tmp_path / "try").iterdir() if path.is_dir() and str(path) not in [*frame["folder"]]
    )
    assert load_runs(earlier)["norm"].tolist() == ["rms_norm"]  # whoever names it wants it
    for run in frame["folder"]:
        shutil.rmtree(run)
    with pytest.raises(ConfigError, match=r"no run in .*try is of the last command of its sweep; name"):
        load_runs(tmp_path / "try")


def test_runs_are_found_from_above_and_from_within(sweep: Path) -> None:
    assert len(load_runs(sweep.parent)) == 18
    assert len(load_runs(sweep / "depth=06,variant=post_ln,seed=0-1a2b3c4d")) == 1


def test_swept_keys_are_those_of_the_sweep(sweep: Path) -> None:
    assert swept_keys(load_runs(sweep)) == ["depth", "variant", "seed"]


def test_without_sweep_json_swept_keys_are_inferred(
    make_sweep: Callable[..., Path],
) -> None:
    """Those that vary and that no other key determines."""
    folder = make_sweep(variant=["post_ln", "pre_ln"], lr=[1e-3, 2e-3], depth=[6, 12], seed=[0, 1])
    (folder / "sweep.json").unlink()
    for place, path in enumerate(sorted(folder.rglob("status.json"))):  # what it measures is no key
        path.write_text(json.dumps({**json.loads(path.read_text()), "measured": f"[{place}]"}))
        with path.with_name("config.yaml").open("a") as config:
            config.write(f"config_dirs: [lab{place}]\nprobe: {{every: {place + 1}}}\n")
            config.write(f"probes: {{stream: {{_target_: Stream{place}}}}}\n")
    # model.encoder_depth follows from depth and variant._target_ from variant.
    assert swept_keys(load_runs(folder)) == ["depth", "variant", "lr", "seed"]


def test_runs_are_split_by_sweep(make_sweep: Callable[..., Path], make_run: Callable[..., Path]) -> None:
    one = make_sweep("one", depth=[6], variant=["post_ln"])
    make_sweep("two", depth=[6], variant=["pre_ln"])
    make_run(one.parent / "single", depth=6, variant="plain")
    parts = split_sweeps(load_runs(one.parent))
    assert {folder.name: len(part) for folder, part in parts.items()} == {
        "one": 1,
        "two": 1,
        one.parent.name: 1,
    }


def test_runs_outside_sweeps_are_under_their_common_parent(make_run: Callable[..., Path], tmp_path: Path) -> None:
    for name in ("a/x/one", "b/x/two"):
        make_run(tmp_path / "loose" / name, depth=6, variant="plain")
    assert list(split_sweeps(load_runs(tmp_path / "loose"))) == [tmp_path / "loose"]


def test_no_run_is_one_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no run in .*: a run is a folder with config\.yaml"):
        load_runs(tmp_path)


def test_tables_come_with_the_swept_keys(sweep: Path) -> None:
    curves = load_table(load_runs(sweep), "curves", [("statistic", "==", "nll"), ("split", "==", "train")])
    assert {"depth", "variant", "seed", "folder", "state"} <= set(curves)
    assert len(curves) == 17 * 100 + 60
    assert set(curves["statistic"]) == {"nll"}


def test_a_pending_run_has_a_row_and_no_table(make_sweep: Callable[..., Path]) -> None:
    folder = make_sweep(depth=[6, 12], variant=["post_ln"])
    run = folder / "depth=12,variant=post_ln-1a2b3c4d"
    shutil.copy(run / "config.yaml", folder / "config.yaml")
    shutil.rmtree(run)
    run.mkdir()
    shutil.move(folder / "config.yaml", run / "config.yaml")
    (run / "status.json").write_text(json.dumps({"state": "pending"}))
    frame = load_runs(folder)
    assert list(frame["state"]) == ["completed", "pending"]
    assert set(load_table(frame, "curves")["depth"]) == {6}
    assert load_table(frame[frame["state"] == "pending"], "layers").empty
