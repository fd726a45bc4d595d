"""The effect of depth on several tasks, side by side, from maps.

    python scripts/tasks.py             makes the maps (resumable; about two hours on two cores), then the figure
    python scripts/tasks.py --draw      the figure, table and page from results/reference/tasks/*/runs.csv

Every map searches the best rate of each variant at each depth on seed 100 and trains five fresh seeds there.
"""

import subprocess
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from normexp.maps.survey import TUNING_SEED
from normexp.studies.verdict import interval
from normexp.views import style
from normexp.views.line_plot import line_plot
from scripts.make_or_draw import make_or_draw

REFERENCE = Path(__file__).resolve().parents[1] / "results" / "reference" / "tasks"
GRID = ("variant=post_ln,pre_ln,no_residual,b2t", "depth=2,6,12", "training.stop_stuck=50%")
TASKS = {
    "docstrings": ("task=language_modelling", "steps=400"),
    "digits": ("task=classification", "data=digits", "steps=300"),
    "grammar": ("task=translation", "data=grammar", "steps=300"),
    "catalogues": ("task=translation", "data=catalogues", "steps=300"),
}
LEFT = "share of the loss left"


def make(jobs: int) -> None:
    """Train what is missing and publish the maps."""
    for name, overrides in TASKS.items():
        words = [*GRID, *overrides, "--best-only", "--name", name, "--jobs", str(jobs), "--out", str(REFERENCE / name)]
        subprocess.run([sys.executable, "-m", "normexp", "map", *words], check=True)


def load() -> pd.DataFrame:
    """The fresh seeds of every task, with the loss as a share: (loss − floor) / (blind − floor).

    learned: whether a run of the search learned, so that the rate is the best one.
    """
    parts = []
    for name in TASKS:
        if not (REFERENCE / name / "runs.csv").is_file():
            continue
        runs, points = (pd.read_csv(REFERENCE / name / f"{table}.csv") for table in ("runs", "points"))
        floor, blind = points["floor"].iloc[0], points["blind"].iloc[0]
        fresh = runs[runs["seed"] != TUNING_SEED]
        learned = points.assign(learned=points["window"] != 0)[["variant", "depth", "learned"]]
        share = fresh.assign(data=name, value=(fresh["loss"] - floor) / (blind - floor))
        parts.append(share.merge(learned, on=["variant", "depth"]))
    return pd.concat(parts, ignore_index=True)


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean and 95 % interval of the share, and the outcomes, by task, variant and depth."""
    out = []
    for (data, variant, depth), part in rows.groupby(["data", "variant", "depth"], sort=False):
        at = interval(part["value"].tolist(), -np.inf, np.inf, "difference")
        counts = part["outcome"].value_counts(sort=False)
        outcomes = ", ".join(f"{outcome} {count}" for outcome, count in counts.items())
        row = {"task": data, "variant": variant, "depth": depth, "lr": part["lr"].iloc[0], "n": len(part)}
        row |= {"share": at.estimate, "low": at.low, "high": at.high, "outcomes": outcomes}
        out.append(row | {"learned": part["learned"].iloc[0]})
    return pd.DataFrame(out)


def agreement(means: pd.DataFrame) -> pd.DataFrame:
    """Kendall's τ between the orders of the variants on two tasks, at every depth."""
    wide = means.pivot(index=["depth", "variant"], columns="task", values="share")
    names = [name for name in TASKS if name in wide]
    return pd.DataFrame(
        {"depth": depth, "tasks": f"{one}, {other}", "tau": kendalltau(part[one], part[other]).statistic}
        for depth, part in wide.groupby("depth")
        for one, other in combinations(names, 2)
    )


def draw() -> None:
    """Write tasks.csv, agreement.csv, tasks.md and the figure."""
    rows = load()
    means = table(rows)
    orders = agreement(means)
    for name, frame in (("tasks", means), ("agreement", orders)):
        frame.to_csv(REFERENCE / f"{name}.csv", index=False, lineterminator="\n", float_format="%.4g")
    with style.context():
        figure = line_plot(
            rows,
            "depth",
            title="The effect of depth, every variant at its best rate",
            settings="tiny · rates tuned per variant, depth and task on seed 100 · n = 5 fresh seeds",
            caption="Validation loss − floor, as a share of that of a model that does not read its input (1). At "
            f"{(~means['learned']).sum()} of {len(means)} points no run of the search learned; the page marks them.",
            label=LEFT,
            column="data",
        )
        style.save(figure, REFERENCE / "figures" / "tasks")
    (REFERENCE / "tasks.md").write_text(page(means, orders))


def page(means: pd.DataFrame, orders: pd.DataFrame) -> str:
    """The page: figure, table, agreement of the orders, the maps."""
    names = [name for name in TASKS if name in set(means["task"])]
    maps = ", ".join(f"[{name}]({name}/map.md)" for name in names)
    depths = sorted(means["depth"].unique())
    lines = [
        "# The effect of depth on several tasks",
        "",
        "The loss on the validation part minus the floor, as a share of the same of a model that does not read its "
        "input (the source sentence, the image, the text so far): 0 is the floor; at 1 and above, it is no better than "
        "such a model. Mean over five fresh seeds with its 95 % interval, at the best "
        f"learning rate of each variant and depth, chosen on seed 100. Maps: {maps}.",
        "",
        "![The effect of depth](figures/tasks.png)",
        "",
        f"| task | variant | {' | '.join(f'depth {depth}' for depth in depths)} |",
        "|---" * (2 + len(depths)) + "|",
    ]
    for (name, variant), part in means.groupby(["task", "variant"], sort=False):
        cells = {
            row.depth: f"{row.share:.3f} [{row.low:.3f}, {row.high:.3f}] {row.outcomes}{'' if row.learned else '*'}"
            for row in part.itertuples()
        }
        lines.append(f"| {name} | {variant} | {' | '.join(cells.get(depth, '–') for depth in depths)} |")
    if not means["learned"].all():
        lines += [
            "",
            "\\* every run of the search was stuck and was given up after half its steps; no best rate is known.",
        ]
    if orders.empty:
        return "\n".join(lines) + "\n"
    lines += ["", "Do the tasks order the variants alike? Kendall's τ, 1 for the same order, −1 for the reverse:", ""]
    wide = orders.pivot(index="tasks", columns="depth", values="tau")
    lines += [f"| tasks | {' | '.join(f'depth {depth}' for depth in depths)} |", "|---" * (1 + len(depths)) + "|"]
    lines += [f"| {tasks} | {' | '.join(f'{row[depth]:.2f}' for depth in depths)} |" for tasks, row in wide.iterrows()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    make_or_draw("The effect of depth on several tasks, side by side.", make, draw)
