"""Does the search of `normexp map` choose the rates that a full grid would, and at what share of its steps?

    python scripts/full_grid.py             trains every rate at every point (resumable), then replays the search on it
    python scripts/full_grid.py --jobs 16 --stacked 11      the same on a GPU
    python scripts/full_grid.py --draw      tables and page from the published runs

There are three grids, with a seed each. One whose table is in results/reference/full_grid is not trained again.

A run is the same whether the grid or the search asks for it, so the search is replayed on the grid's runs: it sees
those that it asks for, and those that it would have given up only until then. What was expected is in
results/reference/METHOD.md.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from normexp.maps import numbers
from normexp.maps.rates import FARTHEST, LEAST, Tried, best, first_rate, interior, next_rates
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
VARIANTS, DEPTHS = ("post_ln", "pre_ln", "admin", "deep_norm", "b2t", "re_zero"), (2, 4, 8)
GIVEN_UP_AFTER = (-3, 2)  # of the earlier searches: the exponents between which nothing had learned
GIVEN_UP = 0.75  # of the steps: the rule of configs/map.yaml
POINTS = [f"variant={','.join(VARIANTS)}", f"depth={','.join(map(str, DEPTHS))}"]
ALLOWED_STEP, ALLOWED_SHARE, ALLOWED_WRONG = 1, 1 / 3, 0.01  # see METHOD.md
EXPECTATIONS = (
    "every choice is within a factor of 2 of the grid's",
    "it takes at most a third of the grid's steps",
    "the rule for stuck runs is wrong in at most 1 % of all runs",
)
COLUMNS = ["seed", "search", "variant", "depth", "grid", "map", "octaves", "interior"]
COLUMNS += ["rates", "steps", "steps_of_grid"]
Tries = Mapping[int, Tried]


def three_at_first(tried: Tries, margin: float, first: int) -> list[int]:
    """The search of the first grid: at every depth it begins with the same three rates."""
    return both_ways(tried, margin, first) if tried else [*LEAST]


def both_ways(tried: Tries, margin: float, first: int) -> list[int]:
    """The search of the second grid: where no run learned anything yet, it goes on in both directions."""
    if tried and not any(run.learned for run in tried.values()):
        low, high = GIVEN_UP_AFTER
        ends = [k for k in (min(tried) - 1, max(tried) + 1) if low <= k <= high]
        if ends:
            return ends
    return lower_first(tried, margin, first)


def lower_first(tried: Tries, margin: float, first: int) -> list[int]:
    """The search of the third grid: lower rates first, but where nothing learns not down to the lowest."""
    low, high = GIVEN_UP_AFTER
    if tried and not any(run.learned for run in tried.values()) and min(tried) <= low:
        if max(tried) < high:
            return [max(tried) + 1]
        ends = {min(tried): min(tried) - 1, max(tried): max(tried) + 1}
        return [k for k in [ends.get(best(tried))] if k is not None and abs(k) <= FARTHEST]
    return next_rates(tried, margin, first)


SEARCHES: dict[str, Callable[[Tries, float, int], list[int]]] = {
    "three rates at first": three_at_first,
    "two rates at first": both_ways,
    "lower rates first": lower_first,
    "down to the lowest rate": next_rates,
}
MARGINS = {"": 0.0, ", whole window": LOSS_MARGIN}  # of the window, as a share of blind − floor


@dataclass(frozen=True)
class Grid:
    """All runs of one seed. search: the one of which something was expected before they were trained."""

    table: str
    seed: int
    steps: int
    search: str


GRIDS = {
    "First": Grid("runs", TUNING_SEED, 200, "three rates at first"),
    "Second": Grid("fresh_runs", TUNING_SEED + 1, 200, "two rates at first"),
    "Third": Grid("longer_runs", TUNING_SEED + 2, 400, "lower rates first"),
}


def make(jobs: int, stacked: int) -> None:
    """Train every rate that a map may ask for, at every point of a grid without a table, and write the table."""
    made = json.loads((HERE / "origin.json").read_text()) if (HERE / "origin.json").exists() else []
    for each in GRIDS.values():
        if not (HERE / f"{each.table}.csv").exists():
            runs = trained(each, jobs, stacked)
            made += [new for new in origins(map(Path, runs["folder"])) if new not in made]
            (HERE / "origin.json").write_text(json.dumps(made, indent=1) + "\n")
            table = grid(runs, each.steps)
            table.to_csv(HERE / f"{each.table}.csv", index=False, lineterminator="\n", float_format="%.6g")


def trained(asked: Grid, jobs: int, stacked: int) -> pd.DataFrame:
    """The runs of a grid, trained where they are not yet."""
    rates = ",".join(f"{run.config.lr:g}" for run in next(iter(survey(POINTS).tuning.values())).values())
    line = [*POINTS, f"steps={asked.steps}", "task=language_modelling", "schedule=wsd", f"lr={rates}"]
    line += [f"seed={asked.seed}", "probe.every=0", f"training.stacked={stacked}"]
    line += [f"record.evaluate_every={asked.steps}", f"record.checkpoint_every={asked.steps}"]
    name = f"full_grid-{asked.table}"
    command = [sys.executable, "-m", "normexp", "sweep", *line, "--name", name, "--jobs", str(jobs)]
    subprocess.run(command, check=True)
    return load_runs(Path(os.environ.get("NORMEXP_RESULTS", "results"), name))


def grid(runs: pd.DataFrame, steps: int) -> pd.DataFrame:
    """One row per run: its point, rate, loss and outcome, and whether a map would have given it up."""
    curves = load_table(runs, "curves", [("statistic", "==", "nll"), ("split", "==", "train")], ("variant",))
    early = int(GIVEN_UP * steps)
    so_far = {
        folder: final_loss(part.sort_values("step")["value"].tolist()[:early])
        for folder, part in curves.groupby("folder")
    }
    levels = {"blind": float(runs["baseline.blind"].iloc[0])}
    found = numbers.losses(runs, POINT)
    found["given_up"] = [is_stuck("language_modelling", so_far[folder], levels) for folder in runs["folder"]]
    return found


def compared(runs: pd.DataFrame, asked: Grid) -> pd.DataFrame:
    """One row per search and point of a grid: both choices, how many octaves they are apart, rates and steps."""
    variants = runs.groupby("variant", sort=False)
    how = product(SEARCHES, MARGINS, variants)
    return pd.DataFrame(
        row | {"seed": asked.seed, "search": search + window, "variant": variant}
        for search, window, (variant, part) in how
        for row in _of_variant(part, asked.steps, SEARCHES[search], MARGINS[window])
    )[COLUMNS]


def _of_variant(
    runs: pd.DataFrame, steps: int, search: Callable[[Tries, float, int], list[int]], margin: float
) -> Iterator[dict[str, object]]:
    """The row of every depth, the shallowest first, where the runs of one variant are searched."""
    shallower: dict[int, Tries] = {}
    for depth, part in runs.groupby("depth"):
        by_exponent = dict(zip(EXPONENTS, part.sort_values("lr").to_dict("records"), strict=True))
        whole = {k: Tried(run["loss"], run["outcome"] in HAS_LEARNED) for k, run in by_exponent.items()}
        first = first_rate(int(depth), shallower)
        nats = margin * float(part["blind"].iloc[0] - part["floor"].iloc[0])
        tried: dict[int, Tried] = {}
        while asked := search(tried, nats, first):
            tried |= {k: replace(whole[k], learned=whole[k].learned and not by_exponent[k]["given_up"]) for k in asked}
        shallower[int(depth)] = tried
        cost = sum(int(GIVEN_UP * steps) if by_exponent[k]["given_up"] else by_exponent[k]["step"] for k in tried)
        yield {
            **{"depth": depth, "grid": by_exponent[best(whole)]["lr"], "map": by_exponent[best(tried)]["lr"]},
            **{"octaves": best(tried) - best(whole), "interior": interior(tried), "rates": len(tried)},
            **{"steps": cost, "steps_of_grid": int(part["step"].sum())},
        }


def draw() -> None:
    """The table of choices and the page, from those of the runs."""
    runs = {name: pd.read_csv(HERE / f"{asked.table}.csv") for name, asked in GRIDS.items()}
    choices = pd.concat([compared(table, GRIDS[name]) for name, table in runs.items()])
    choices.to_csv(HERE / "choices.csv", index=False, lineterminator="\n")
    (HERE / "full_grid.md").write_text(page(choices, runs))


def page(choices: pd.DataFrame, runs: Mapping[str, pd.DataFrame]) -> str:
    """The page, from the tables of choices and of the runs of each grid."""
    last = list(GRIDS.values())[-1]
    of_last = choices[(choices["seed"] == last.seed) & (choices["search"] == last.search)]
    lines = [
        "# The search of `normexp map` and a full grid",
        "",
        f"Six variants on docstrings at {len(DEPTHS)} depths, one seed per grid: all {len(EXPONENTS)} rates, a factor "
        "2 apart, and the search replayed on these runs ([method](../METHOD.md)). Of a run that is given up, the steps "
        "until then count.",
        "",
        "The search was changed after each grid, so the next one has a new seed. First it began with three rates, at "
        "every depth the same. Then with two, at the rate that shallower stacks point to. For the third grid it tried "
        "lower rates first where no run had learned anything yet. Since then it tries all lower rates in that case, "
        "down to 1/32 of the start. The third grid has the 400 steps of the "
        "[map](../map/map.md): with 200, runs leave the plateau while the rate falls, after the rule has asked.",
        "",
        "What was expected of the search as it was then, each time before the grid was trained:",
        "",
        markdown_table(
            ["grid", "steps of a run", "search", *EXPECTATIONS],
            ([name, str(GRIDS[name].steps), GRIDS[name].search, *verdicts(choices, name, runs)] for name in GRIDS),
        ),
        "How often the rule that gives up a run which is stuck after "
        f"{GIVEN_UP:.0%} of its steps would have been wrong, because the run learned later:",
        "",
        markdown_table(
            ["grid", "runs", "wrong", "share", "of these trained", "at the best rate of the grid"],
            (
                [
                    *(name, str(len(table)), str(int(wrong(table).sum())), f"{wrong(table).mean():.1%}"),
                    str(int((table["outcome"][wrong(table)] == "trained").sum())),
                    str(int((wrong(table) & is_best(table)).sum())),
                ]
                for name, table in runs.items()
            ),
        ),
        *(line for name, asked in GRIDS.items() for line in _of_grid(name, choices[choices["seed"] == asked.seed])),
        f"Every point of the last grid, searched for the best rate alone (`--best-only`), {last.search}:",
        "",
        markdown_table(
            ["variant", "depth", "grid", "map", "rates", "steps", "of the grid"],
            (
                [
                    *(row.variant, str(row.depth), formatting.number(row.grid), formatting.number(row.map)),
                    *(str(row.rates), f"{row.steps:,}", f"{row.steps_of_grid:,}"),
                ]
                for row in of_last.itertuples()
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


def wrong(runs: pd.DataFrame) -> pd.Series:
    """Of each run, whether the rule for stuck runs would have given it up although it learned later."""
    return runs["given_up"] & runs["outcome"].isin(HAS_LEARNED)


def is_best(runs: pd.DataFrame) -> pd.Series:
    """Of each run, whether no other one of its point that learned has a lower loss."""
    learned = runs["loss"].where(runs["outcome"].isin(HAS_LEARNED))
    return learned == learned.groupby([runs[key] for key in POINT]).transform("min")


def verdicts(choices: pd.DataFrame, name: str, runs: Mapping[str, pd.DataFrame]) -> list[str]:
    """Whether each of EXPECTATIONS is so on a grid. Of the first one nothing was expected of the rule."""
    asked = GRIDS[name]
    found = choices[(choices["seed"] == asked.seed) & (choices["search"] == asked.search)]
    near = bool((found["octaves"].abs() <= ALLOWED_STEP).all())
    cheap = bool(found["steps"].sum() <= ALLOWED_SHARE * found["steps_of_grid"].sum())
    rare = bool(wrong(runs[name]).mean() <= ALLOWED_WRONG)
    found_so = ["holds" if good else "does not hold" for good in (near, cheap, rare)]
    return [*found_so[:2], "not asked"] if name == "First" else found_so


if __name__ == "__main__":
    make_or_draw(__doc__.partition("\n")[0], make, draw, stacked=1)
