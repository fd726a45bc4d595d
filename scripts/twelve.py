"""The map of twelve variants on docstrings, from run folders that may come from several machines.

    python scripts/twelve.py make               makes the whole map here (resumable; about five hours of one core)
    python scripts/twelve.py make --jobs 16 --stacked 8     the same on a GPU: minutes
    python scripts/twelve.py finish             trains the final seeds that the published map lacks, at its best rates
    python scripts/twelve.py publish FOLDER …   adds the runs in these folders to the published ones, then draws
    python scripts/twelve.py draw               all other tables, figures and the page, from the published runs

The published runs are in results/reference/map/runs.csv; what was expected of them is in results/reference/METHOD.md.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from normexp.cards.numbers import SHIPPED
from normexp.maps import numbers
from normexp.maps.report import RATES, TITLE
from normexp.maps.survey import TUNING_SEED, survey
from normexp.records.folder import RunFolder
from normexp.records.outcome import final_loss, is_stuck
from normexp.records.provenance import origins
from normexp.views import formatting, style
from normexp.views.markdown import table as markdown_table
from normexp.views.rate_by_depth import rate_by_depth
from normexp.views.rate_map import ranking, rate_map
from normexp.views.runs import load_runs, load_table

REFERENCE = Path(__file__).resolve().parents[1] / "results" / "reference" / "map"
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
SETTINGS = (
    "xavier_uniform init · layer_norm · tiny · docstrings · 400 steps · warm-up 10 % · schedule wsd · n = 5 seeds"
)
UNIT = "nats per token"
SHARES = (0.5, 0.6, 0.75)  # of the steps, at which a rule could give up a run that is stuck
FLAT = 0.2  # the margin of exponents, see METHOD.md


def normexp(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "normexp", *words], check=True)


def finish(jobs: int) -> None:
    """Train the missing seeds of every published point, the deepest first."""
    found = pd.read_csv(REFERENCE / "points.csv")
    for _, point in found[found["n"] < SEEDS].sort_values("depth", ascending=False).iterrows():
        line = seeds_of(point["variant"], point["depth"], point["lr"])
        normexp("sweep", *line, "--name", f"twelve-{point['variant']}-{point['depth']}", "--jobs", str(jobs))


def seeds_of(variant: str, depth: int, lr: float) -> list[str]:
    """The overrides of the sweep that trains what a map trains at the best rate of a point; it has a schedule too."""
    point = [f"variant={variant}", f"depth={depth}", f"lr={lr:g}", f"seed=range({SEEDS})"]
    return [*point, *TRAINING, "schedule=wsd"]


def publish(folders: list[Path], *, alone: bool = False) -> None:
    """Add the runs in these folders to runs.csv, and their origin, then draw. alone: in place of those there."""
    runs = pd.concat([load_runs(folder) for folder in folders], ignore_index=True)
    runs = runs[runs["state"] == "completed"].reset_index(drop=True)
    _check(runs)
    REFERENCE.mkdir(parents=True, exist_ok=True)
    known, made = _read(REFERENCE / "runs.csv"), origin()
    if alone:
        known, made = None, []
    merged(known, numbers.losses(runs, POINT)).to_csv(REFERENCE / "runs.csv", **CSV)
    made += [each for each in origins(map(Path, runs["folder"])) if each not in made]
    (REFERENCE / "origin.json").write_text(json.dumps(made, indent=1) + "\n")
    draw()


def merged(known: pd.DataFrame | None, new: pd.DataFrame) -> pd.DataFrame:
    """Both tables of runs as one, in the order of the map.

    A point that was searched again has the new search alone, and of the final seeds those at its best rate.
    """
    if known is not None:
        searched = pd.MultiIndex.from_frame(new.loc[new["seed"] == TUNING_SEED, POINT])
        again = pd.MultiIndex.from_frame(known[POINT]).isin(searched) & (known["seed"] == TUNING_SEED)
        new = pd.concat([known[~again], new], ignore_index=True)
    best = numbers.points(new).set_index(POINT)["lr"]
    at = pd.MultiIndex.from_frame(new[POINT]).map(best)
    new = new[(new["seed"] == TUNING_SEED) | np.isclose(new["lr"], at)]
    new = new.drop_duplicates([*POINT, "lr", "seed"], keep="last")
    order = {"variant": VARIANTS.index, "depth": DEPTHS.index, "seed": lambda seed: -1 if seed == TUNING_SEED else seed}
    by = [*POINT, "seed", "lr"]
    return new.sort_values(by, key=lambda column: column.map(order.get(column.name, float)), ignore_index=True)


def _check(runs: pd.DataFrame) -> None:
    """End with a sentence at a run that has other settings than those of the map."""
    asked = survey(GRID, seeds=SEEDS)
    finals = (run for by_rate in asked.final.values() for seeds in by_rate.values() for run in seeds)
    wanted = {
        (config.variant.name, config.depth, f"{config.lr:g}", config.seed): config
        for config in (run.config for run in (*asked.sweep.runs, *finals))
    }
    for row in runs.itertuples():
        config = wanted.get((row.variant, row.depth, f"{row.lr:g}", row.seed))
        if config is None or not RunFolder(Path(row.folder)).finished_as(config):
            sys.exit(f"{row.folder} is no run of the map: its settings are not those of `normexp map {' '.join(GRID)}`")


def origin() -> list[dict[str, Any]]:
    """Where the published runs come from, one entry per machine and version."""
    path = REFERENCE / "origin.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else []


def _read(path: Path) -> pd.DataFrame | None:
    return pd.read_csv(path) if path.exists() else None


def rule(runs: pd.DataFrame) -> pd.DataFrame:
    """Of the runs that were trained to the end: how many were stuck at a share of the steps, and learned later.

    These would have been given up too early by training.stop_stuck at that share.
    """
    whole = runs[runs["step"] == runs["steps"]]
    rows = load_table(whole, "curves", [("statistic", "==", "nll"), ("split", "==", "train")], ("variant",))
    losses = {folder: part.sort_values("step")["value"].tolist() for folder, part in rows.groupby("folder")}
    levels = {"blind": float(runs["baseline.blind"].iloc[0])}
    outcomes = whole.set_index("folder")["outcome"]
    found = []
    for share in SHARES:
        so_far = {folder: final_loss(each[: int(share * len(each))]) for folder, each in losses.items()}
        stuck = [folder for folder, loss in so_far.items() if is_stuck("language_modelling", loss, levels)]
        learned = int(outcomes[stuck].isin(["trained", "partial"]).sum())
        found.append({"share": share, "runs": len(whole), "stuck": len(stuck), "learned_later": learned})
    return pd.DataFrame(found)


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
        point = at.loc[(variant, 24)]
        if not point["interior"]:
            found.append((name, f"{point['outcomes']}, at a rate on the edge of those tried", "cannot be tested"))
            continue
        found.append((name, point["outcomes"], "holds" if (point["trained"] >= 0.5) == trains else "does not hold"))
    return found


def _within(low: float, high: float, window_low: float, window_high: float) -> str:
    """Whether an interval is inside a window, outside, or across one of its edges."""
    inside, outside = window_low <= low and high <= window_high, high < window_low or low > window_high
    return "holds" if inside else "does not hold" if outside else "cannot tell"


def draw() -> None:
    """points.csv and variants.csv, which cards read too, the figures and the page, from runs.csv and rule.csv."""
    runs, stopped = pd.read_csv(REFERENCE / "runs.csv"), pd.read_csv(REFERENCE / "rule.csv")
    points = numbers.points(runs)
    variants = numbers.variants(points)
    for name, frame in (("points", points), ("variants", variants)):
        frame.to_csv(REFERENCE / f"{name}.csv", **CSV)
        shutil.copyfile(REFERENCE / f"{name}.csv", SHIPPED / f"{name}.csv")
    points, variants = (pd.read_csv(REFERENCE / f"{name}.csv") for name in ("points", "variants"))
    with style.context():
        about = {"settings": SETTINGS, "unit": UNIT}
        rates = rate_map(runs[runs["seed"] == TUNING_SEED], points, title=TITLE, **about)
        style.save(rates, REFERENCE / "figures" / "rates")
        whole = points.groupby("depth").filter(lambda part: bool((part["n"] > 0).all()))  # a rank needs all of them
        at_best = ranking(whole, title="Twelve variants at their best learning rates", **about)
        style.save(at_best, REFERENCE / "figures" / "ranking")
        by_depth = rate_by_depth(points, variants, title=RATES, settings=SETTINGS)
        style.save(by_depth, REFERENCE / "figures" / "rate_by_depth")
    (REFERENCE / "map.md").write_text(page(points, variants, runs, stopped, origin()))


def page(
    points: pd.DataFrame,
    variants: pd.DataFrame,
    runs: pd.DataFrame,
    stopped: pd.DataFrame,
    made: list[dict[str, Any]],
) -> str:
    """The page, from the published tables and the origin of the runs."""
    wide = points.assign(
        cell=[
            f"{p.loss:.3f} [{p.low:.3f}, {p.high:.3f}] at {formatting.number(p.lr)}{'' if p.interior else ' (edge)'}, "
            f"{p.outcomes}"
            if p.n
            else "–"
            for p in points.itertuples()
        ]
    ).pivot(index="variant", columns="depth", values="cell")
    slopes = [
        "–" if row.drift != row.drift else formatting.slope(row.drift, row.drift_low, row.drift_high)
        for row in variants.itertuples()
    ]
    missing = " A point with – has its search alone: its seeds are missing." if (points["n"] == 0).any() else ""
    last = points["depth"].max()
    order = points[points["depth"] == last].sort_values("loss")["variant"]
    lines = [
        "# Twelve variants, each at its best learning rate",
        "",
        f"`normexp map {' '.join(GRID)}`",
        "",
        f"Docstrings, {SETTINGS.partition('docstrings · ')[2]}, width 64. Validation loss in {UNIT}, mean over five "
        f"fresh seeds with its 95 % interval, at the best rate of each variant and depth; rates are a factor 2 apart "
        f"and were chosen on seed {TUNING_SEED}. It took {len(runs)} runs and {int(runs['step'].sum()):,} steps, on "
        f"{' and '.join(dict.fromkeys(map(machine, made)))} ([origin.json](origin.json)).{missing}",
        "",
        "Other variants, which `normexp variants` lists, are not on it. The embedding is the output matrix here. With "
        "a matrix of its own, or under other weights at the start, four of the variants come in another order "
        "([inits](../inits/inits.md)).",
        "",
        "A run of the search that was still stuck after half its steps was ended there. For DeepNorm, which leaves the "
        "plateau late, this ended every rate at 6, 12 and 24 layers, so it was searched a second time with three "
        "quarters of the steps, the rule that `normexp map` has now.",
        "",
        "![Loss at every rate and depth](figures/rates.png)",
        "![The variants at their best rates](figures/ranking.png)",
        "",
        markdown_table(
            ["variant", *(f"depth {depth}" for depth in wide.columns)],
            ([name, *map(str, wide.loc[name])] for name in order),
        ),
        "The slope of the best rate, d ln lr / d ln depth, over the depths that train, with its 95 % interval; "
        f"whether the rate carries over, which is a slope within ±{FLAT:g} (exploratory but for the two claims below); "
        "depth₅₀, where the share of seeds that train passes one half (inf: no deeper one fails); and the window of "
        "usable rates in octaves, the narrowest over these depths:",
        "",
        markdown_table(
            ["variant", "slope", "carries over", "depth₅₀", "window"],
            (
                [
                    row.variant,
                    slope,
                    "–" if row.drift != row.drift else _within(row.drift_low, row.drift_high, -FLAT, FLAT),
                    "–" if row.depth50 != row.depth50 else f"{row.depth50:.0f}",
                    "–" if row.window != row.window else f"{row.window:.0f}",
                ]
                for row, slope in zip(variants.itertuples(), slopes, strict=True)
            ),
        ),
        "![The best rate over depth](figures/rate_by_depth.png)",
        "",
        "How often the rule that gives up stuck runs would have been wrong, by the share of the steps at which it "
        "asks, among the runs that were trained to the end:",
        "",
        markdown_table(
            ["asks at", "runs", "stuck there", "of these learned later", "share of all runs"],
            (
                [
                    *(f"{row.share:.0%}", str(row.runs), str(row.stuck), str(row.learned_later)),
                    f"{row.learned_later / row.runs:.1%}",
                ]
                for row in stopped.itertuples()
            ),
        ),
        "What was expected ([windows](../METHOD.md), committed before the runs):",
        "",
        markdown_table(["claim", "measured", "verdict"], claims(points, variants)),
    ]
    return "\n".join(lines)


def machine(made: dict[str, Any]) -> str:
    """The processor of an origin in a few words."""
    return f"one {made['gpu']}" if made["gpu"] else f"{made['cores']} cores ({made['processor']})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("action", choices=("make", "finish", "publish", "draw"))
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--jobs", type=int, default=0)
    parser.add_argument("--stacked", type=int, default=1, help="runs that train as one model, for a GPU")
    given = parser.parse_args()
    if given.action == "make":
        stacked = f"training.stacked={given.stacked}"
        normexp("map", *GRID, stacked, "--name", "twelve", "--jobs", str(given.jobs))
        made = Path(os.environ.get("NORMEXP_RESULTS", "results"), "twelve")
        rule(load_runs(made)).to_csv(REFERENCE / "rule.csv", index=False, lineterminator="\n")
        publish([made], alone=True)
    elif given.action == "finish":
        finish(given.jobs)
    elif given.action == "publish":
        publish(given.folders)
    else:
        draw()


if __name__ == "__main__":
    main()
