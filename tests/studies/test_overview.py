"""normexp reproduce without a study: claims, runs, time and state of each."""

import io
import json
import re
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from normexp.studies.overview import list_studies, state_of
from normexp.studies.study import Part

REFERENCE = Path(__file__).parents[2] / "results" / "reference"
DONG = Part("attention", "probe", ("variant=plain,post_ln", "depth=2"))


def test_a_study_that_is_finished_has_its_verdicts(tmp_path):
    shutil.copytree(REFERENCE / "dong2021", tmp_path / "dong2021-quick")
    verdicts = state_of("dong2021", "quick", [DONG], 4, tmp_path).split(", ")
    assert verdicts[0].startswith("holds ")
    assert state_of("dong2021", "full", [DONG], 4, tmp_path) == ""


def test_a_study_on_its_way_counts_its_runs(tmp_path):
    for number, state in enumerate(("completed", "completed", "failed")):
        run = tmp_path / "parts" / DONG.folder / str(number)
        run.mkdir(parents=True)
        (run / "status.json").write_text(json.dumps({"state": state}))
    (run / "status.json").with_name("other.json").write_text("")
    assert state_of("dong2021", "quick", [DONG], 4, tmp_path) == "2 of 4 runs"


@pytest.mark.slow
def test_runs_are_counted_without_planning_them(tmp_path):
    """The numbers are those of the plans, which take minutes."""
    shutil.copytree(REFERENCE / "dong2021", tmp_path / "dong2021-quick")
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(list_studies(tmp_path))
    text = console.export_text()
    lines = {line.split()[0]: " ".join(line.split()) for line in text.splitlines() if line.strip()}
    assert "200 runs" in lines["dong2021"]
    assert "340 runs" in lines["deepnet2022"]
    assert "50 runs" in lines["nguyen2019"]
    assert " 9 200 runs, 2 minutes " in lines["dong2021"]
    assert "\n  Dong et al. 2021, Attention is Not All You Need: Pure Attention Loses Rank" in text
    assert re.search(r"\n  quick: holds \d+, .*does not hold \d+ *\nhyper_connections2024 ", text)
