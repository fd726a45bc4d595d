"""Does the search of `normexp map` choose the rates that a full grid would, and at what share of its steps?

    python scripts/full_grid.py             trains every rate at every point (resumable), then replays the search on it
    python scripts/full_grid.py --jobs 16 --stacked 11      the same on a GPU
    python scripts/full_grid.py --draw      tables and page from the published runs

There are two grids, with a seed each. One whose table is in results/reference/full_grid is not trained again.

A run is the same whether the grid or the search asks for it, so the search is replayed on the grid's runs: it sees
those that it asks for, and those that it would have given up only until then. What was expected is in
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
from normexp.records.outcome import HAS_LEARNED, final_loss, is_stuck
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
ALLOWED_STEP, ALLOWED_SHARE, ALLOWED_WRONG = 1, 1 / 3, 0.01  # see METHOD.md
EXPECTATIONS = ("every choice is within a factor of 2 of the grid's", "it takes at most a third of the grid's steps")
COLUMNS = ["search", "variant", "depth", "grid", "map", "octaves", "interior", "rates", "steps", "steps_of_grid"]
GRIDS = {"runs": TUNING_SEED, "fresh_runs": TUNING_SEED + 1}  # the seed of each, by the name of its table
EXPECTED = "best rate alone, as the search was"
NOW = "best rate alone (`--best-only`)"  # of which the same is expected on the fresh grid
SEARCHES = {  # by name the margin of the window, and whether it is the search of which something was expected
    EXPECTED: (0.0, True),
    NOW: (0.0, False),
    "with the window of usable rates, as the search was": (LOSS_MARGIN, True),
    "with the window of usable rates": (LOSS_MARGIN, False),
}


def make(jobs: int, stacked: int) -> None:
    """Train every rate that a map may ask for, at every point of a grid without a table, and write the table."""
    made = json.loads((HERE / "origin.json").read_text())
    for name, seed in GRIDS.items():
        if not (HERE / f"{name}.csv").exists():
            runs = trained(name, seed, jobs, stacked)
            grid(runs).to_csv(HERE / f"{name}.csv", index=False, lineterminator="\n", float_format="%.6g")
            made += [each for each in origins(map(Path, runs["folder"])) if each not in made]
    (HERE / "origin.json").write_text(json.dumps(made, indent=1) + "\n")


def trained(name: str, seed: int, jobs: int, stacked: int) -> pd.DataFrame:
    """The runs of a grid, trained where they are not yet."""
    rates = ",".join(f"{run.config.lr:g}" for run in next(iter(survey(POINTS).tuning.values())).values())
    line = [*POINTS, "task=language_modelling", "schedule=wsd", f"lr={rates}", f"seed={seed}", "probe.every=0"]
    line += [f"record.evaluate_every={STEPS}", f"record.checkpoint_every={STEPS}", f"training.stacked={stacked}"]
    command = [sys.executable, "-m", "normexp", "sweep", *line, "--name", f"full_grid-{name}", "--jobs", str(jobs)]
    subprocess.run(command, check=True)
    return load_runs(Path(os.environ.get("NORMEXP_RESULTS", "results"), f"full_grid-{name}"))


def grid(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per run: its point, rate, loss and outcome, and whether a map would have given it up."""
    curves = load_table(runs, "curves", [("statistic", "==", "nll"), ("split", "==", "train")], ("variant",))
    early = int(GIVEN_UP * STEPS)
    so_far = {
        folder: final_loss(part.sort_values("step")["value"].tolist()[:early])
        for folder, part in curves.groupby("folder")
    }
    levels = {"blind": float(runs["baseline.blind"].iloc[0])}
    found = numbers.losses(runs, POINT)
    found["given_up"] = [is_stuck("language_modelling", so_far[folder], levels) for folder in runs["folder"]]
    return found


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
            learned = run["outcome"] in HAS_LEARNED and not run["given_up"]
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
        whole = {k: Tried(run.loss, run.outcome in HAS_LEARNED) for k, run in zip(rates, outcomes, strict=True)}
        tried, steps = replayed(part, margin, as_it_was, shallower)
        shallower[depth] = tried
        yield {
            **{"depth": depth, "grid": rates[best(whole)], "map": rates[best(tried)]},
            **{"octaves": best(tried) - best(whole), "interior": interior(tried), "rates": len(tried)},
            **{"steps": steps, "steps_of_grid": int(part["step"].sum())},
        }


def draw() -> None:
    """The tables of choices and the page, from those of the runs."""
    tables = {name: pd.read_csv(HERE / f"{name}.csv") for name in GRIDS}
    first, fresh = map(compared, tables.values())
    first.to_csv(HERE / "choices.csv", index=False, lineterminator="\n")
    fresh.to_csv(HERE / "fresh_choices.csv", index=False, lineterminator="\n")
    (HERE / "full_grid.md").write_text(page(first, fresh, *tables.values()))


def page(first: pd.DataFrame, fresh: pd.DataFrame, first_runs: pd.DataFrame, fresh_runs: pd.DataFrame) -> str:
    """The page, from the tables of choices and of runs of both grids."""
    before, now = first[first["search"] == EXPECTED], fresh[fresh["search"] == NOW]
    both = pd.concat([first_runs, fresh_runs])
    learned = both["outcome"].isin(HAS_LEARNED)
    wrong = both["given_up"] & learned
    lines = [
        "# The search of `normexp map` and a full grid",
        "",
        f"Six variants on docstrings at {len(DEPTHS)} depths, {STEPS} steps, two grids of one seed each "
        f"({' and '.join(map(str, GRIDS.values()))}): all {len(EXPONENTS)} rates, a factor 2 apart, and the search "
        "replayed on these runs ([method](../METHOD.md)). Steps of the search are those of a run that is given up "
        "until then.",
        "",
        "After the first grid the search was changed in two ways: it begins with two rates, not three, and a depth "
        "begins at the rate that shallower ones point to. Therefore there is a second grid.",
        "",
        "What was expected, each time before the grid was trained:",
        "",
        markdown_table(
            ["expected", "first grid, the search as it was", "second grid, the search as it is"],
            ([text, *two] for text, *two in zip(EXPECTATIONS, verdicts(before), verdicts(now), strict=True)),
        ),
        f"The rule that gives up a run which is stuck after {GIVEN_UP:.0%} of its steps would have been wrong in "
        f"{int(wrong.sum())} of the {len(both)} runs ({wrong.mean():.1%}), which learned later: "
        f"{int(wrong[: len(first_runs)].sum())} of the first grid, {int(wrong[len(first_runs) :].sum())} of the second "
        f"(expected of the second: at most 1 %, which {'holds' if _rule_holds(fresh_runs) else 'does not hold'}).",
        "",
        *(line for name, found in (("First", first), ("Second", fresh)) for line in _of_grid(name, found)),
        "Every point of the second grid, as the search is now, with `--best-only`:",
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


def _of_grid(name: str, found: pd.DataFrame) -> list[str]:
    """What every search does on one grid."""
    table = markdown_table(
        ["search", "points within one factor of 2", "the same rate", "inside its rates", "share of the steps"],
        (
            [
                str(search),
                f"{int((part['octaves'].abs() <= ALLOWED_STEP).sum())} of {len(part)}",
                f"{int((part['octaves'] == 0).sum())} of {len(part)}",
                f"{int(part['interior'].sum())} of {len(part)}",
                f"{part['steps'].sum() / part['steps_of_grid'].sum():.1%}",
            ]
            for search, part in found.groupby("search", sort=False)
        ),
    )
    return [f"{name} grid:", "", table]


def _rule_holds(runs: pd.DataFrame) -> bool:
    return bool((runs["given_up"] & runs["outcome"].isin(HAS_LEARNED)).mean() <= ALLOWED_WRONG)


def verdicts(found: pd.DataFrame) -> list[str]:
    """Whether each of EXPECTATIONS is so."""
    near = bool((found["octaves"].abs() <= ALLOWED_STEP).all())
    cheap = bool(found["steps"].sum() <= ALLOWED_SHARE * found["steps_of_grid"].sum())
    return ["holds" if good else "does not hold" for good in (near, cheap)]


if __name__ == "__main__":
    make_or_draw(__doc__.partition("\n")[0], make, draw, stacked=1)
