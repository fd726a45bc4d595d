"""A control that tells a variant from itself is repeated once, on seeds that no other run has used.

python scripts/repeat_control.py liu2020     trains what is missing, then writes repeat.csv into the record of liu2020
"""

import argparse
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from normexp.records.provenance import origins
from normexp.studies import claims_table, runner
from normexp.studies.control import Control
from normexp.studies.study import Runs, Study
from normexp.sweep.executor import run_sweep
from normexp.sweep.pools import make_pool

REFERENCE = Path(__file__).resolve().parents[1] / "results" / "reference"
SEEDS = "range(1000,1040)"  # 20 against 20 others, fixed in METHOD.md before the first repeat


class Repeat(Control, Study):
    """The control alone."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Repeat the control of a study on fresh seeds.")
    parser.add_argument("study")
    parser.add_argument("--jobs", type=int, default=0)
    given = parser.parse_args()
    study, _ = runner.load(given.study, "quick")
    part = replace(study.parts["control"].with_keys("repeat"), seeds=SEEDS)
    sweep = runner.sweep_of(part, Path(os.environ.get("NORMEXP_RESULTS", "results"), "parts").absolute(), [])
    if not run_sweep(sweep, make_pool("", sweep, given.jobs), print):
        raise SystemExit("not all runs are complete; run the same command again")
    runs = {"control": Runs(sweep.path, [run.name for run in sweep.runs])}
    found = list(Repeat({"control": part}, "quick").claims(runs))
    (REFERENCE / given.study / "repeat.csv").write_text(claims_table.csv(found, {}, "quick"))
    made = origins(run.path for run in sweep.folders)
    (REFERENCE / given.study / "repeat_origin.json").write_text(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    main()
