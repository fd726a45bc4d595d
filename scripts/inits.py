"""Do the initialisation and a tied output matrix change the order of variants, each at its best rate?

    python scripts/inits.py             makes the map (resumable; about an hour on two cores), then figure and page
    python scripts/inits.py --draw      figure, tables and page from results/reference/inits/runs.csv

Four variants at 6 layers on docstrings, under two initialisations, with the embedding as the output matrix and with a
matrix of its own. What was expected is in results/reference/METHOD.md.
"""

import math
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import pandas as pd
from scipy.stats import kendalltau

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from normexp.maps.survey import TUNING_SEED
from normexp.studies.verdict import Verdict, interval, judge
from normexp.views import formatting, style
from normexp.views.line_plot import line_plot
from normexp.views.markdown import table as markdown_table
from normexp.views.names import name_of
from scripts.make_or_draw import make_or_draw

REFERENCE = Path(__file__).resolve().parents[1] / "results" / "reference" / "inits"
VARIANTS, DEPTH, STEPS = ("post_ln", "pre_ln", "deep_norm", "re_zero"), 6, 400
GRID = (
    *(f"variant={','.join(VARIANTS)}", f"depth={DEPTH}", "init=xavier_uniform,normal", "model.tied=true,false"),
    *(f"steps={STEPS}", f"record.evaluate_every={STEPS}", f"record.checkpoint_every={STEPS}"),
)
CSV = {"index": False, "lineterminator": "\n", "float_format": "%.6g"}


def make(jobs: int) -> None:
    """Train what is missing and publish the map."""
    words = [*GRID, "--best-only", "--name", "inits", "--jobs", str(jobs), "--out", str(REFERENCE)]
    subprocess.run([sys.executable, "-m", "normexp", "map", *words], check=True)


def with_condition(table: pd.DataFrame) -> pd.DataFrame:
    """A table of the map with a column condition: the initialisation and whether the output is tied."""
    tied = table["model.tied"].map({True: "tied", False: "untied"})
    return table.assign(condition=table["init"] + ", " + tied)


def load() -> tuple[pd.DataFrame, pd.DataFrame]:
    """The points of the map and the runs of their fresh seeds, in the order of the command."""
    points, runs = (with_condition(pd.read_csv(REFERENCE / f"{name}.csv")) for name in ("points", "runs"))
    return points, runs[runs["seed"] != TUNING_SEED]


def agreement(found: pd.DataFrame) -> pd.DataFrame:
    """Kendall's τ between the orders of the variants under every two conditions."""
    wide = found.pivot(index="variant", columns="condition", values="loss")
    pairs = combinations(found["condition"].unique(), 2)
    return pd.DataFrame({"one": a, "other": b, "tau": kendalltau(wide[a], wide[b]).statistic} for a, b in pairs)


def gap(fresh: pd.DataFrame, one: tuple[str, str], other: tuple[str, str]) -> list[float]:
    """Loss of one variant under a condition minus that of another, seed by seed."""
    losses = fresh.pivot(index="seed", columns=["condition", "variant"], values="loss")
    return (losses[one] - losses[other]).tolist()


def unlearned(points: pd.DataFrame) -> set[tuple[str, str]]:
    """Condition and variant where no rate of the search learned, so that none of them is the best."""
    return {(row.condition, row.variant) for row in points.itertuples() if row.window == 0}


def verdicts(points: pd.DataFrame, fresh: pd.DataFrame) -> pd.DataFrame:
    """What was expected before the runs: that a difference of losses, in nats, is below 0."""
    asked = [
        (f"pre-before-post: {condition}", (condition, "pre_ln"), (condition, "post_ln"))
        for condition in fresh["condition"].unique()
    ]
    asked += [
        (f"deep-norm-untied: {init}", (f"{init}, untied", "deep_norm"), (f"{init}, tied", "deep_norm"))
        for init in fresh["init"].unique()
    ]
    found = []
    for name, one, other in asked:
        values = gap(fresh, one, other)
        at = interval(values, -math.inf, 0.0, "difference")
        verdict = judge(values, -math.inf, 0.0, "difference")
        if {one, other} & unlearned(points):
            verdict = Verdict.UNTESTED
        found.append(
            {"claim": name, "difference": at.estimate, "low": at.low, "high": at.high, "verdict": str(verdict)}
        )
    return pd.DataFrame(found)


def draw() -> None:
    """Write agreement.csv, verdicts.csv, inits.md and the figure."""
    points, fresh = load()
    orders, judged = agreement(points), verdicts(points, fresh)
    for name, frame in (("agreement", orders), ("verdicts", judged)):
        frame.to_csv(REFERENCE / f"{name}.csv", **CSV)
    places, names = pd.factorize(fresh["condition"])
    with style.context():
        figure = line_plot(
            fresh.assign(place=places, value=fresh["loss"]),
            "place",
            title=f"Four variants at {DEPTH} layers, each at its best rate",
            settings=f"tiny · docstrings · {STEPS} steps · rates tuned on seed {TUNING_SEED} · "
            f"n = {fresh['seed'].nunique()} fresh seeds",
            caption="Tied: the embedding is the output matrix.",
            label="validation loss (nats per token)",
            x_label="initialisation and output matrix",
            names=dict(enumerate(names)),
            joined=False,
        )
        style.save(figure, REFERENCE / "figures" / "inits")
    (REFERENCE / "inits.md").write_text(page(points, orders, judged))


def page(found: pd.DataFrame, orders: pd.DataFrame, judged: pd.DataFrame) -> str:
    """The page: figure, losses, claims, agreement of the orders."""
    conditions = list(found["condition"].unique())
    cells = {
        (row.variant, row.condition): f"{row.loss:.3f} [{row.low:.3f}, {row.high:.3f}] at {formatting.number(row.lr)}, "
        f"{row.outcomes}"
        for row in found.itertuples()
    }
    lines = [
        "# The order of variants under two initialisations, tied and untied",
        "",
        f"`normexp map {' '.join(GRID)} --best-only`",
        "",
        f"Validation loss in nats per token on docstrings, mean over {found['n'].max()} fresh seeds with its 95 % "
        f"interval, at the best rate of each variant and condition, chosen on seed {TUNING_SEED} ([map](map.md)).",
        "",
        "![Losses by condition](figures/inits.png)",
        "",
        markdown_table(
            ["variant", *conditions],
            ([variant, *(cells[variant, each] for each in conditions)] for variant in VARIANTS),
        ),
        *(
            f"{name_of('variant', variant)} has no best rate with {condition}: none of those tried learned on the seed "
            "of the search, and the losses are at the one with the lowest loss."
            for condition, variant in sorted(unlearned(found))
        ),
        "",
        "What was expected ([method](../METHOD.md), committed before the runs), as differences of losses that are "
        "below 0:",
        "",
        markdown_table(
            ["claim", "difference", "verdict"],
            (
                [row.claim, f"{row.difference:.3f} [{row.low:.3f}, {row.high:.3f}]", row.verdict]
                for row in judged.itertuples()
            ),
        ),
        "Do the conditions order the variants alike? Kendall's τ, 1 for the same order, −1 for the reverse "
        "(exploratory):",
        "",
        markdown_table(
            ["one condition", "another", "τ"], ([row.one, row.other, f"{row.tau:.2f}"] for row in orders.itertuples())
        ),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    make_or_draw(__doc__.partition("\n")[0], make, draw)
