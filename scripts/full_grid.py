"""Does the search of `normexp map` choose the rates that a full grid would, and at what share of its steps?

    python scripts/full_grid.py             trains every rate at every point (resumable), then replays the search on it
    python scripts/full_grid.py --draw      tables and page from results/reference/full_grid/runs.csv

A run is bit for bit the same whether the grid or the search asks for it, so the search is replayed on the grid's runs:
it sees those that it asks for, and those that it would have given up only until then. What was expected is in
results/reference/METHOD.md.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from normexp.maps import numbers
from normexp.maps.rates import LEAST, Tried, best, first_rate, interior, next_rates
from normexp.maps.survey import EXPONENTS, TUNING_SEED, survey
from normexp.records.outcome import final_loss, is_stuck
from normexp.records.provenance import origins
from normexp.studies.verdict import LOSS_MARGIN
from normexp.views import formatting
from normexp.views.markdown import table as markdown_table
from normexp.views.runs import load_runs, load_table
from scripts.make_or_draw import make_or_draw

HERE = Path(__file__).resolve().parents[1] / "results" / "reference" / "full_grid"
POINT = ["variant", "depth"]
VARIANTS, DEPTHS, STEPS = ("post_ln", "pre_ln", "admin", "deep_norm", "b2t", "re_zero"), (2, 4, 8), 200
GIVEN_UP = 0.75  # of the steps: the rule of configs/map.yaml
POINTS = [f"variant={','.join(VARIANTS)}", f"depth={','.join(map(str, DEPTHS))}", f"steps={STEPS}"]
ALLOWED_STEP, ALLOWED_SHARE = 1, 1 / 3  # see METHOD.md
COLUMNS = ["search", "variant", "depth", "grid", "map", "octaves", "interior", "rates", "steps", "steps_of_grid"]
EXPECTED = "best rate alone, as the search was"
SEARCHES = {  # by name the margin of the window, and whether it is the search of which something was expected
    EXPECTED: (0.0, True),
    "best rate alone (`--best-only`)": (0.0, False),
    "with the window of usable rates, as the search was": (LOSS_MARGIN, True),
    "with the window of usable rates": (LOSS_MARGIN, False),
}


def make(jobs: int) -> None:
    """Train every rate that a map may ask for, at every point, and write runs.csv."""
    rates = ",".join(f"{run.config.lr:g}" for run in next(iter(survey(POINTS).tuning.values())).values())
    grid = [*POINTS, "task=language_modelling", "schedule=wsd", f"lr={rates}", f"seed={TUNING_SEED}", "probe.every=0"]
    grid += [f"record.evaluate_every={STEPS}", f"record.checkpoint_every={STEPS}"]
    command = [sys.executable, "-m", "normexp", "sweep", *grid, "--name", "full_grid", "--jobs", str(jobs)]
    subprocess.run(command, check=True)
    runs = load_runs(Path(os.environ.get("NORMEXP_RESULTS", "results"), "full_grid"))
    curves = load_table(runs, "curves", [("statistic", "==", "nll"), ("split", "==", "train")], ("variant",))
    early = int(GIVEN_UP * STEPS)
    so_far = {
        folder: final_loss(part.sort_values("step")["value"].tolist()[:early])
        for folder, part in curves.groupby("folder")
    }
    levels = {"blind": float(runs["baseline.blind"].iloc[0])}
    found = numbers.losses(runs, POINT)
    found["given_up"] = [is_stuck("language_modelling", so_far[folder], levels) for folder in runs["folder"]]
    HERE.mkdir(parents=True, exist_ok=True)
    found.to_csv(HERE / "runs.csv", index=False, lineterminator="\n", float_format="%.6g")
    (HERE / "origin.json").write_text(json.dumps(origins(map(Path, runs["folder"])), indent=1) + "\n")


def replayed(
    runs: pd.DataFrame, margin: float, as_it_was: bool, shallower: dict[int, dict[int, Tried]]
) -> tuple[dict[int, Tried], int]:
    """What the search finds at one point, by exponent, and its steps.

    margin: a share of blind − floor. as_it_was: with the same three rates at first, at every depth.
    """
    by_exponent = dict(zip(EXPONENTS, runs.sort_values("lr").to_dict("records"), strict=True))
    margin *= float(runs["blind"].iloc[0] - runs["floor"].iloc[0])
    first = first_rate(int(runs["depth"].iloc[0]), shallower)
    tried: dict[int, Tried] = {}
    steps = 0
    while asked := [*LEAST] if as_it_was and not tried else next_rates(tried, margin, first):
        for k in asked:
            run = by_exponent[k]
            learned = run["outcome"] in ("trained", "partial") and not run["given_up"]
            tried[k] = Tried(run["loss"], learned)
            steps += int(GIVEN_UP * STEPS) if run["given_up"] else run["step"]
    return tried, steps


def compared(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per search and point: both choices, how many octaves they are apart, rates and steps."""
    variants = runs.groupby("variant", sort=False)
    return pd.DataFrame(
        row | {"search": name, "variant": variant}
        for (name, how), (variant, part) in product(SEARCHES.items(), variants)
        for row in _of_variant(part, *how)
    )[COLUMNS]


def _of_variant(runs: pd.DataFrame, margin: float, as_it_was: bool) -> Iterator[dict[str, object]]:
    """The row of every depth, the shallowest first."""
    shallower: dict[int, dict[int, Tried]] = {}
    for depth, part in runs.groupby("depth"):
        rates = dict(zip(EXPONENTS, sorted(part["lr"]), strict=True))
        outcomes = part.sort_values("lr")[["loss", "outcome"]].itertuples(index=False)
        whole = {
            k: Tried(run.loss, run.outcome in ("trained", "partial")) for k, run in zip(rates, outcomes, strict=True)
        }
        tried, steps = replayed(part, margin, as_it_was, shallower)
        shallower[depth] = tried
        yield {
            **{"depth": depth, "grid": rates[best(whole)], "map": rates[best(tried)]},
            **{"octaves": best(tried) - best(whole), "interior": interior(tried), "rates": len(tried)},
            **{"steps": steps, "steps_of_grid": int(part["step"].sum())},
        }


def draw() -> None:
    """choices.csv and the page, from runs.csv."""
    found = compared(pd.read_csv(HERE / "runs.csv"))
    found.to_csv(HERE / "choices.csv", index=False, lineterminator="\n")
    (HERE / "full_grid.md").write_text(page(found))


def page(found: pd.DataFrame) -> str:
    """The page, from the table of choices."""
    first, now = (found[found["search"] == name] for name in list(SEARCHES)[:2])
    lines = [
        "# The search of `normexp map` and a full grid",
        "",
        f"Six variants on docstrings at {len(DEPTHS)} depths, {STEPS} steps, seed {TUNING_SEED}: all {len(EXPONENTS)} "
        "rates, a factor 2 apart, and the search replayed on these runs ([method](../METHOD.md)). Steps of the search "
        "are those of a run that is given up until then.",
        "",
        markdown_table(
            ["search", "points within one factor of 2", "the same rate", "inside its rates", "share of the steps"],
            (
                [
                    str(name),
                    f"{int((part['octaves'].abs() <= ALLOWED_STEP).sum())} of {len(part)}",
                    f"{int((part['octaves'] == 0).sum())} of {len(part)}",
                    f"{int(part['interior'].sum())} of {len(part)}",
                    f"{part['steps'].sum() / part['steps_of_grid'].sum():.1%}",
                ]
                for name, part in found.groupby("search", sort=False)
            ),
        ),
        "What was expected, of the search of the best rate alone as it was then:",
        "",
        markdown_table(["expected", "verdict"], verdicts(first)),
        "After this result the search was changed in two ways: it begins with two rates, not three, and a depth begins "
        "at the rate that shallower ones point to. What that saves is read off the same runs, so it is exploratory.",
        "",
        "Every point, as the search is now, with `--best-only`:",
        "",
        markdown_table(
            ["variant", "depth", "grid", "map", "rates", "steps", "of the grid"],
            (
                [
                    *(row.variant, str(row.depth), formatting.number(row.grid), formatting.number(row.map)),
                    *(str(row.rates), f"{row.steps:,}", f"{row.steps_of_grid:,}"),
                ]
                for row in now.itertuples()
            ),
        ),
    ]
    return "\n".join(lines)


def verdicts(found: pd.DataFrame) -> list[list[str]]:
    """What was expected of the search, and whether it is so."""
    near = bool((found["octaves"].abs() <= ALLOWED_STEP).all())
    cheap = bool(found["steps"].sum() <= ALLOWED_SHARE * found["steps_of_grid"].sum())
    return [
        ["every choice is within a factor of 2 of the grid's", "holds" if near else "does not hold"],
        ["it takes at most a third of the grid's steps", "holds" if cheap else "does not hold"],
    ]


if __name__ == "__main__":
    make_or_draw(__doc__.partition("\n")[0], make, draw)
