"""The table of a dry run."""

import io
import re

import pytest
from rich.console import Console

from normexp.sweep.estimate import dry_run, forecast
from normexp.sweep.plan import plan
from tests.support.cli import in_process
from tests.support.runs import TINY


def printed(*overrides: str, **more: bool | str) -> str:
    out = io.StringIO()
    Console(file=out, width=200).print(dry_run(plan("sweep", [*TINY, *overrides]), jobs=2, **more))
    return " ".join(out.getvalue().split())


@pytest.mark.slow
def test_small_sweep_is_measured():
    text = printed("variant=post_ln", "seed=0,1")
    assert "parameters" in text
    assert "2 runs in" in text
    assert "with 2 at a time" in text


@pytest.mark.slow
def test_large_sweep_names_some_runs():
    text = printed("variant=post_ln", "seed=range(500)", hint="--estimate measures them")
    assert "parameters" not in text
    assert "… and 450 runs more" in text
    assert "500 runs in" in text
    assert "to do (--estimate measures them)" in text


@pytest.mark.slow
def test_large_sweep_is_measured_on_request():
    text = printed("variant=post_ln", "seed=range(150)", measure=True)
    assert "parameters" in text
    assert "with 2 at a time" in text


@pytest.mark.slow
def test_forecast_adds_up_what_is_left_of_several_sweeps(tmp_path):
    trained = plan("sweep", [*TINY, "variant=post_ln,pre_ln", "seed=range(5)", "steps=20", f"results={tmp_path}"])
    measured = plan("probe", [*TINY, "variant=post_ln", "seed=range(3)", f"results={tmp_path}"])
    assert re.fullmatch(r"13 runs to do, less than a minute with 2 at a time", forecast([trained, measured], 2))
    long = plan("sweep", [*TINY, "variant=post_ln", "seed=range(50)", "steps=20000", f"results={tmp_path}"])
    assert re.fullmatch(r"50 runs to do, about \d+ minutes with 3 at a time", forecast([long], 3))
    assert forecast([], 2) == ""


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--dry-run", "--estimate"])
def test_a_device_of_another_machine_is_estimated_on_the_cpu(option):
    line = ("sweep", *TINY, "variant=post_ln", "training.device=cuda:99", "training.amp=fp16", "--pool=slurm", option)
    done = in_process(*line)
    assert done.exit_code == 0
    said = r"1 run in \S+; to do: about \d+:\d\d with 1 at a time; measured on this machine's CPU instead of cuda:99\n"
    assert re.search(said, done.stdout)


@pytest.mark.slow
def test_a_forecast_for_a_device_of_another_machine_says_so(tmp_path):
    asked = [*TINY, "variant=post_ln", "training.device=cuda:99", f"results={tmp_path}"]
    sweeps = [plan(command, asked, elsewhere=True) for command in ("sweep", "probe")]
    said = "2 runs to do, less than a minute with 2 at a time, measured on this machine's CPU instead of cuda:99"
    assert forecast(sweeps, 2) == said
    assert "instead of" not in printed("variant=post_ln")


@pytest.mark.slow
def test_a_variant_that_raises_is_named(tmp_path):
    lab = tmp_path / "lab"
    (lab / "variant").mkdir(parents=True)
    (lab / "variant" / "wrong.yaml").write_text("_target_: wrong.Wrong\n")
    lines = ["from normexp.variants.pre_ln import PreLN", "", "class Wrong(PreLN):", "    def join(self, x, site):"]
    (lab / "wrong.py").write_text("\n".join([*lines, "        return site.foo"]) + "\n")
    done = in_process("sweep", *TINY, "variant=wrong", "depth=1", "--config-dir", str(lab), "--dry-run")
    assert done.exit_code == 2
    last = done.stderr.splitlines()[-1]
    assert re.fullmatch("error: variant=wrong cannot be measured: AttributeError: .*; normexp check .*", last)
