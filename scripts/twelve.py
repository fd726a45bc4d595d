"""The map of twelve variants on docstrings, with the embedding as the output matrix or a matrix of its own.

    python scripts/twelve.py make               trains what is not published yet (resumable; all takes five hours on
                                                two cores), then publishes it
    python scripts/twelve.py make --untied      the one with an output matrix of its own
    python scripts/twelve.py make --jobs 16 --stacked 8     on a GPU: minutes
    python scripts/twelve.py publish            publishes what is complete, if not all is
    python scripts/twelve.py draw               all other tables, figures and the page, from the published runs

The published runs are in results/reference/map/runs.csv and map_untied/runs.csv. A run that is there is not trained
again, even where its folder is gone; what the search asks for is. The page shows the depths that are complete. What was
expected of them is in results/reference/METHOD.md.
"""

import argparse
import json
import math
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from normexp.cards.numbers import shipped
from normexp.errors import ConfigError
from normexp.maps import numbers, report
from normexp.maps.report import RATES, SLOPED, TITLE
from normexp.maps.survey import TUNING_SEED, Survey, survey
from normexp.records.provenance import origins
from normexp.studies.verdict import interval, judge
from normexp.views import formatting, style
from normexp.views.markdown import table as markdown_table
from normexp.views.rate_by_depth import rate_by_depth
from normexp.views.rate_map import ranking, rate_map

REFERENCE = Path(__file__).resolve().parents[1] / "results" / "reference"
VARIANTS = (
    *("post_ln", "pre_ln", "no_residual", "admin", "deep_norm", "b2t"),
    *("sandwich", "res_post_norm", "resi_dual", "mix_ln", "re_zero", "layer_norm_scaling"),
)
DEPTHS = (3, 6, 12, 24)
POINT = ["variant", "depth"]
SEEDS = 5
CSV: Any = {"index": False, "lineterminator": "\n", "float_format": "%.6g"}
TRAINING = (
    *("task=language_modelling", "steps=400", "probe.every=0"),
    *("record.evaluate_every=400", "record.checkpoint_every=400"),
)
GRID = [f"variant={','.join(VARIANTS)}", f"depth={','.join(map(str, DEPTHS))}", *TRAINING]
SETTINGS = "xavier_uniform init · layer_norm · tiny · docstrings · 400 steps · warm-up 10 % · schedule wsd"
UNIT = "nats per token"
THE_SAME = ("mix_ln", 3)  # a quarter of its layers are Post-LN, of three layers none: it is Pre-LN there
FLAT = 0.2  # the margin of exponents, see METHOD.md


@dataclass(frozen=True)
class Edition:
    """One of the two maps: its folder in results/reference, what its runs are called, what the page says of it."""

    folder: str
    name: str
    overrides: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def path(self) -> Path:
        return REFERENCE / self.folder

    @property
    def grid(self) -> list[str]:
        """The overrides of `normexp map`."""
        return [*GRID, *self.overrides]

    @property
    def known(self) -> Path | None:
        """The table of its published runs, if there are any."""
        path = self.path / "runs.csv"
        return path if path.exists() else None

    def survey(self) -> Survey:
        """Its runs, published ones, complete ones and those that are still to do."""
        return survey(self.grid, known=self.known, name=self.name)

    def table(self, name: str) -> pd.DataFrame:
        return pd.read_csv(self.path / f"{name}.csv")


OTHERS = (
    "Other variants, which `normexp variants` lists, are not on it. Mix-LN has no Post-LN layer among three, so it is "
    "Pre-LN there; its slope leaves that depth out."
)
TIED = Edition(
    "map",
    "twelve",
    (),
    (
        f"{OTHERS} The embedding is the output matrix here. With a matrix of its own, four of the variants come in "
        "another order ([inits](../inits/inits.md)).",
        "A run of the search that was still stuck after half its steps was ended there. For DeepNorm, which leaves "
        "the plateau late, this ended every rate at 6, 12 and 24 layers, so it was searched a second time with three "
        "quarters of the steps, the rule that `normexp map` has now. Where no rate learned at all, none was searched "
        "again, but the two lowest rates were added later, under the new rule.",
    ),
)
UNTIED = Edition(
    "map_untied",
    "twelve-untied",
    ("model.tied=false",),
    (
        f"{OTHERS} The output matrix is one of its own here; [the tied map](../map/map.md) has the embedding.",
        "At 6 layers, Pre-LN, Post-LN, DeepNorm and ReZero had been seen before ([inits](../inits/inits.md)), so "
        "what is said below of these at 6 layers is exploratory.",
    ),
)


def make(edition: Edition, jobs: int, stacked: int) -> None:
    """Train what the search asks for and is not published yet, then publish it."""
    asked = edition.survey()
    if not asked.todo():
        if all(run.name in asked.known for run in asked.runs()):
            sys.exit(f"all runs are in {edition.known}; remove the file to train them again")
        publish(edition)
        return
    words = [*edition.grid, f"training.stacked={stacked}", "--name", edition.name, "--jobs", str(jobs)]
    words += ["--known", str(edition.known)] if edition.known else []
    if ended := subprocess.run([sys.executable, "-m", "normexp", "map", *words]).returncode:
        sys.exit(ended)
    publish(edition)


def publish(edition: Edition) -> None:
    """Add the runs that are complete here to runs.csv and origin.json, then draw."""
    try:
        runs, losses = report.measured(edition.survey())
    except ConfigError as error:
        sys.exit(f"nothing to publish: {error}")
    if edition.known:
        losses = pd.concat([edition.table("runs"), losses]).drop_duplicates([*POINT, "lr", "seed"])
    made = json.loads((edition.path / "origin.json").read_text("utf-8")) if edition.known else []
    made += [each for each in origins(map(Path, runs["folder"])) if each not in made]
    edition.path.mkdir(parents=True, exist_ok=True)
    in_order(losses).to_csv(edition.path / "runs.csv", **CSV)
    (edition.path / "origin.json").write_text(json.dumps(made, indent=1) + "\n")
    draw(edition)


def shown(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs of the depths that are complete, without fresh seeds at a rate that was the best of its point once."""
    at_best = runs.merge(numbers.points(runs)[[*POINT, "lr"]], on=POINT, suffixes=("", "_best"))
    counts = (at_best["seed"] == TUNING_SEED) | np.isclose(at_best["lr"], at_best["lr_best"], rtol=1e-4)
    found = at_best.loc[counts, runs.columns]
    found = found[found["depth"].isin(complete(found))].reset_index(drop=True)
    if found.empty:
        sys.exit(f"no depth is complete yet: a depth has {SEEDS} fresh seeds of every variant")
    return found


def complete(runs: pd.DataFrame) -> list[int]:
    """The depths at which every variant has its fresh seeds."""
    fresh = runs[runs["seed"] != TUNING_SEED].groupby(POINT).size()
    return [depth for depth in DEPTHS if all(fresh.get((name, depth), 0) >= SEEDS for name in VARIANTS)]


def in_order(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs in the order of the map."""
    order = {"variant": VARIANTS.index, "depth": DEPTHS.index, "seed": lambda seed: -1 if seed == TUNING_SEED else seed}
    by = [*POINT, "seed", "lr"]
    return runs.sort_values(by, key=lambda column: column.map(order.get(column.name, float)), ignore_index=True)


def claims(points: pd.DataFrame, variants: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Name, what was measured and verdict of every planned claim."""
    at = points.set_index(["variant", "depth"])
    of = variants.set_index("variant")
    found = []
    for name, variant, low, high in (
        ("post-rate-falls", "post_ln", float("-inf"), 0.0),
        ("deep-norm-rate-flat", "deep_norm", -FLAT, FLAT),
    ):
        slope = of.loc[variant]
        if slope["drift"] != slope["drift"]:
            found.append((name, "fewer than three depths train", "cannot be tested"))
            continue
        measured = f"slope {formatting.slope(slope['drift'], slope['drift_low'], slope['drift_high'])}"
        found.append((name, measured, _within(slope["drift_low"], slope["drift_high"], low, high)))
    for name, variant, trains in (
        ("pre-24-trains", "pre_ln", True),
        ("deep-norm-24-trains", "deep_norm", True),
        ("admin-24-trains", "admin", True),
        ("post-24-fails", "post_ln", False),
    ):
        if (variant, 24) not in at.index or not at.loc[(variant, 24), "n"]:
            found.append((name, "its seeds are missing", "cannot be tested"))
            continue
        point = at.loc[(variant, 24)]
        if not point["interior"]:
            found.append((name, f"{point['outcomes']}, at a rate on the edge of those tried", "cannot be tested"))
            continue
        if point["window"] == 0:
            found.append((name, f"{point['outcomes']}, but no rate of the search learned", "cannot be tested"))
            continue
        good = round(point["trained"] * point["n"])
        seeds = [1.0] * good + [0.0] * (int(point["n"]) - good)
        window = (0.5, math.inf) if trains else (-math.inf, 0.5)
        found.append((name, point["outcomes"], str(judge(seeds, *window, "share"))))
    return found


def _within(low: float, high: float, window_low: float, window_high: float) -> str:
    """Whether an interval is inside a window, outside, or across one of its edges."""
    inside, outside = window_low <= low and high <= window_high, high < window_low or low > window_high
    return "holds" if inside else "does not hold" if outside else "cannot tell"


def differences(runs: pd.DataFrame, tied: pd.DataFrame) -> list[tuple[str, str, str]]:
    """The same of what is expected of the untied map alone: differences of losses, seed by seed, that are below 0.

    It cannot be tested where one of the two has no best rate, because none of those tried learned.
    """
    learned, learned_tied = (numbers.points(each).set_index(POINT)["window"] != 0 for each in (runs, tied))
    of, of_tied = (by_seed(each) for each in (runs, tied))
    pairs = {
        "pre-before-post": (of["pre_ln"], learned["pre_ln"], of["post_ln"], learned["post_ln"]),
        "deep-norm-untied": (of["deep_norm"], learned["deep_norm"], of_tied["deep_norm"], learned_tied["deep_norm"]),
    }
    found = []
    for name, (one, one_learned, other, other_learned) in pairs.items():
        for depth in DEPTHS:
            both = depth in one and depth in other
            values = (one[depth] - other[depth]).dropna().tolist() if both else []
            if len(values) < SEEDS:
                found.append((f"{name}: {depth} layers", "its seeds are missing", "cannot be tested"))
                continue
            if not (one_learned[depth] and other_learned[depth]):
                found.append((f"{name}: {depth} layers", "no rate of one of them learned", "cannot be tested"))
                continue
            at = interval(values, -math.inf, 0.0, "difference")
            measured = f"{at.estimate:.3f} [{at.low:.3f}, {at.high:.3f}]".replace("-", "−")
            found.append((f"{name}: {depth} layers", measured, str(judge(values, -math.inf, 0.0, "difference"))))
    return found


def distinct(points: pd.DataFrame) -> pd.DataFrame:
    """The points without the one that is the same model as another variant's."""
    variant, depth = THE_SAME
    return points[(points["variant"] != variant) | (points["depth"] != depth)]


def by_seed(runs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Losses of the fresh seeds of every variant: one row per seed, one column per depth."""
    fresh = runs[runs["seed"] != TUNING_SEED]
    parts = {name: fresh[fresh["variant"] == name] for name in VARIANTS}
    return {name: part.pivot(index="seed", columns="depth", values="loss") for name, part in parts.items()}


def agreement(points: pd.DataFrame, tied: pd.DataFrame) -> list[str]:
    """Kendall's τ between the orders of the variants on both maps, by depth."""
    both = points[points["n"] > 0].merge(tied, on=POINT)
    taus = {
        depth: kendalltau(part["loss_x"], part["loss_y"]).statistic
        for depth, part in distinct(both).groupby("depth")
        if len(both[both["depth"] == depth]) == len(VARIANTS)
    }
    return [f"{tau:.2f} at {depth}" for depth, tau in taus.items()]


def other_text(edition: Edition, points: pd.DataFrame) -> list[str]:
    """How the runs on the text of other package versions, if there are any, compare: the orders and the best rates."""
    if not (edition.path / "other_text.csv").exists():
        return []
    made = json.loads((edition.path / "other_text_origin.json").read_text("utf-8"))
    others = numbers.points(edition.table("other_text"))
    both = points[points["n"] > 0].merge(others[others["n"] > 0], on=POINT, suffixes=("", "_there"))
    said = []
    for depth, part in both.groupby("depth"):
        tau = kendalltau(part["loss"], part["loss_there"]).statistic
        learned = part[(part["window"] != 0) & (part["window_there"] != 0)]
        apart = np.log2(learned["lr"] / learned["lr_there"]).round().abs()
        said += [
            f"At {depth} layers, {len(part)} of the variants were also trained on {' and '.join(map(machine, made))}, "
            "where the packages have other versions and so other docstrings ([other_text.csv](other_text.csv), "
            f"[origin](other_text_origin.json); exploratory). Kendall's τ between both orders is {tau:.2f}. The best "
            f"rate is the same for {(apart == 0).sum()} of {len(learned)} variants, twice or half as high for "
            f"{(apart == 1).sum()}, and further away for {(apart > 1).sum()}.",
            "",
        ]
    return said


def draw(edition: Edition) -> None:
    """points.csv and variants.csv, which cards read too, the figures and the page, from runs.csv."""
    runs = shown(edition.table("runs"))
    points = numbers.points(runs)
    variants = numbers.variants(distinct(points))
    for name, frame in (("points", points), ("variants", variants)):
        frame.to_csv(edition.path / f"{name}.csv", **CSV)
        shutil.copyfile(edition.path / f"{name}.csv", shipped(edition is TIED) / f"{name}.csv")
    points, variants = edition.table("points"), edition.table("variants")
    figures = edition.path / "figures"
    settings = SETTINGS if edition is TIED else SETTINGS.replace("tiny", "tiny, untied")
    with style.context():
        about = {"settings": settings, "unit": UNIT}
        rates = rate_map(runs[runs["seed"] == TUNING_SEED], points, title=TITLE, **about)
        style.save(rates, figures / "rates")
        whole = points.groupby("depth").filter(lambda part: bool((part["n"] > 0).all()))  # a rank needs all of them
        about["settings"] += f" · n = {SEEDS} seeds"
        at_best = ranking(whole, title="Twelve variants at their best learning rates", **about)
        style.save(at_best, figures / "ranking")
        if points["depth"].nunique() >= SLOPED:
            left_out = "Mix-LN at 3 layers, which is Pre-LN, is left out."
            by_depth = rate_by_depth(distinct(points), variants, title=RATES, settings=settings, note=left_out)
            style.save(by_depth, figures / "rate_by_depth")
    (edition.path / "map.md").write_text(page(edition))


def page(edition: Edition) -> str:
    """The page, from the published tables and the origin of the runs."""
    points, variants, runs = edition.table("points"), edition.table("variants"), shown(edition.table("runs"))
    made = json.loads((edition.path / "origin.json").read_text("utf-8"))
    last = points["depth"].max()
    wide = points.assign(
        cell=[
            f"{p.loss:.3f} [{p.low:.3f}, {p.high:.3f}] {_at(p)}, {p.outcomes}" if p.n else "–"
            for p in points.itertuples()
        ]
    ).pivot(index="variant", columns="depth", values="cell")
    slopes = [
        "–"
        if row.drift != row.drift
        else formatting.slope(row.drift, row.drift_low, row.drift_high) + _without(points, row)
        for row in variants.itertuples()
    ]
    ends = zip(variants["depth50"], *numbers.depth50_ends(variants), strict=True)
    depth50s = [
        "–" if at != at else f"above {last}" if math.isinf(at) else f"{at:.0f} [{low:.0f}, {high:.0f}]"
        for at, low, high in ends
    ]
    absent = [str(depth) for depth in DEPTHS if depth not in set(points["depth"])]
    missing = f" Not made yet: {' and '.join(absent)} layers." if absent else ""
    expected, alike = claims(points, variants), ""
    if edition is not TIED:
        expected += differences(runs, shown(TIED.table("runs")))
        if taus := ", ".join(agreement(points, TIED.table("points"))):
            alike = f"Kendall's τ between the orders of the variants on this map and on the tied one: {taus} layers."
    order = points[points["depth"] == last].sort_values("loss")["variant"]
    lines = [
        "# Twelve variants, each at its best learning rate",
        "",
        f"`normexp map {' '.join(edition.grid)}`",
        "",
        f"Docstrings, {SETTINGS.partition('docstrings · ')[2]}, width 64. Validation loss in {UNIT}, mean over five "
        f"fresh seeds with its 95 % interval, at the best rate of each variant and depth; rates are a factor of 2 "
        f"apart and were chosen on seed {TUNING_SEED}. It took {len(runs)} runs and {int(runs['step'].sum()):,} steps, "
        f"on {' and '.join(dict.fromkeys(map(machine, made)))} ([origin.json](origin.json)).{missing}",
        "",
        *(line for note in edition.notes for line in (note, "")),
        "![Loss at every rate and depth](figures/rates.png)",
        "![The variants at their best rates](figures/ranking.png)",
        "",
        markdown_table(
            ["variant", *(f"depth {depth}" for depth in wide.columns)],
            ([name, *map(str, wide.loc[name])] for name in order),
        ),
        "The slope of the best rate, d ln lr / d ln depth, over the depths that train, with its 95 % interval; "
        f"whether the rate carries over, which is a slope within ±{FLAT:g} (exploratory but for the two claims below); "
        "depth₅₀, where the share of seeds that train passes one half, between the deepest that trains and the next, – "
        "where a shallower one fails or one between has no seeds; and the window of usable rates in octaves, the "
        "narrowest over these depths, known to one octave each way:",
        "",
        markdown_table(
            ["variant", "slope", "carries over", "depth₅₀", "window"],
            (
                [
                    row.variant,
                    slope,
                    "–" if row.drift != row.drift else _within(row.drift_low, row.drift_high, -FLAT, FLAT),
                    depth50,
                    "–" if row.window != row.window else f"{row.window:.0f}",
                ]
                for row, slope, depth50 in zip(variants.itertuples(), slopes, depth50s, strict=True)
            ),
        ),
        *(["![The best rate over depth](figures/rate_by_depth.png)", ""] if len(wide.columns) >= SLOPED else []),
        "What was expected ([windows](../METHOD.md), committed before the runs):",
        "",
        markdown_table(["claim", "measured", "verdict"], expected),
        *([alike, ""] if alike else []),
        *other_text(edition, points),
    ]
    return "\n".join(lines)


def _at(point: Any) -> str:
    """The best rate of a point in words."""
    if point.window == 0:
        return "(no rate learned)"
    return f"at {formatting.number(point.lr)}{'' if point.interior else ' (edge)'}"


def _without(points: pd.DataFrame, variant: Any) -> str:
    """The depths that a slope leaves out, because most seeds fail there and yet train deeper down."""
    its = points[(points["variant"] == variant.variant) & (points["trained"] <= 0.5)]
    left_out = its.loc[its["depth"] < variant.deepest_trained, "depth"]
    return f" without {', '.join(map(str, left_out))}" if len(left_out) else ""


def machine(made: dict[str, Any]) -> str:
    """The processor of an origin in a few words."""
    return f"one {made['gpu']}" if made["gpu"] else f"{made['cores']} cores ({made['processor']})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("action", choices=("make", "publish", "draw"))
    parser.add_argument("--untied", action="store_true", help="the map with an output matrix of its own")
    parser.add_argument("--jobs", type=int, default=0)
    parser.add_argument("--stacked", type=int, default=1, help="runs that train as one model, for a GPU")
    given = parser.parse_args()
    edition = UNTIED if given.untied else TIED
    if given.action == "make":
        make(edition, given.jobs, given.stacked)
    else:
        (publish if given.action == "publish" else draw)(edition)


if __name__ == "__main__":
    main()
