"""The acceptance test of a task: may variants be compared by their losses on it?

    python scripts/acceptance.py docstrings [--seeds 3] [--jobs 1]      trains (resumable), then writes the result
    python scripts/acceptance.py docstrings --collect FOLDER            writes it from the runs that are complete there
    python scripts/acceptance.py --judge results/reference/acceptance/docstrings.csv      prints it again

Variants are trained for T and for 2T steps, on seeds 100 and up, which no reported result uses. The losses are those on
the whole validation part. Three criteria, fixed before the first run, at every depth:

1. no ceiling: at T no variant's mean loss is within 10 % of the floor, that is at or below floor + 0.1 (blind − floor);
2. seeds agree: the standard deviation over seeds of ln(loss − floor), pooled over the variants that train, is at most a
   quarter of the range of its means over them (a variant trains if every seed of it ends as `trained` at T);
3. the order is stable: Kendall's τ between the variants' mean losses at T and at 2T is at least 0.8.

The learning rate is the same for all, so the order is that at this rate, not that of the variants at their best. A run
that diverged counts as an infinite loss.

A task that is not accepted is tried again with another budget or other options. Every attempt is a setting of its own,
fixed before its runs, and every result is kept.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

REFERENCE = Path(__file__).resolve().parents[1] / "results" / "reference" / "acceptance"
VARIANTS = ("post_ln", "pre_ln", "b2t", "layer_norm_scaling", "deep_norm", "res_post_norm")
FIRST_SEED = 100
CEILING = 0.1  # of the distance from floor to blind
SPREAD = 1 / 4  # of the range over the variants that train
ORDER = 0.8  # Kendall's τ
COLUMNS = ("depth", "variant", "seed", "steps", "outcome", "final_loss", "valid_loss", "token_accuracy")
BASELINES = ("unigram", "position_only", "target_bigram", "blind", "floor", "bar")


@dataclass(frozen=True)
class Setting:
    """What is trained: T, the depths, and the other overrides."""

    steps: int
    depths: tuple[int, ...]
    overrides: tuple[str, ...]


DOCSTRINGS = ("task=language_modelling", "data=docstrings", "lr=3e-3", "training.batch_tokens=2080")
GRAMMAR = ("task=translation", "data=grammar", "lr=3e-3")
SETTINGS = {
    "docstrings": Setting(600, (2, 6), DOCSTRINGS),
    "docstrings_400": Setting(400, (2, 6), DOCSTRINGS),  # before the losses of the best variants meet
    "grammar": Setting(800, (2, 6), GRAMMAR),
    # A quarter of the words, each four times as often, so that variants train within half the steps.
    "grammar_100": Setting(400, (2, 6), (*GRAMMAR, "data.nouns=100", "data.verbs=25", "data.adjectives=15")),
}


def overrides(name: str, seeds: int) -> list[str]:
    """The overrides of the sweep."""
    setting = SETTINGS[name]
    return [
        *setting.overrides,
        f"depth={','.join(map(str, setting.depths))}",
        f"variant={','.join(VARIANTS)}",
        f"seed=range({FIRST_SEED},{FIRST_SEED + seeds})",
        f"steps={setting.steps},{2 * setting.steps}",
        *("record.evaluate_every=600", "record.checkpoint_every=200", "probe.every=0"),
    ]


def judge(runs: pd.DataFrame) -> tuple[pd.DataFrame, list[tuple[str, bool | None, str]]]:
    """The arms (one per depth, variant and number of steps), and each criterion: its name, whether it is met, and why.

    None: it cannot be tested, because runs are missing or fewer than two variants train.
    """
    short = runs["steps"].min()
    floor, blind = runs["baseline.floor"].iloc[0], runs["baseline.blind"].iloc[0]
    runs = runs.fillna({"valid_loss": np.inf})
    runs = runs.assign(
        ln_regret=np.log(runs["valid_loss"] - floor),
        trained=runs["outcome"] == "trained",
    )
    arms = runs.groupby(["depth", "variant", "steps"], sort=False).agg(
        n=("seed", "size"),
        loss=("valid_loss", "mean"),
        sd=("valid_loss", "std"),
        ln_regret=("ln_regret", "mean"),
        ln_sd=("ln_regret", "std"),
        trained=("trained", "all"),
        outcomes=("outcome", lambda found: ", ".join(f"{k} {v}" for k, v in found.value_counts(sort=False).items())),
    )
    criteria: list[tuple[str, bool | None, str]] = []
    ceiling = floor + CEILING * (blind - floor)
    for depth, found in arms.groupby("depth"):
        done, asked = int(found["n"].sum()), 2 * len(VARIANTS) * runs["seed"].nunique()
        if done < asked:
            criteria.append((f"depth {depth}", None, f"{done} of {asked} runs are complete"))
            continue
        at_short = found.xs(short, level="steps")
        lowest = at_short["loss"].min()
        criteria.append((f"depth {depth}: no ceiling", lowest > ceiling, f"lowest loss {lowest:.3f} > {ceiling:.3f}"))
        good = at_short[at_short["trained"]]
        if len(good) < 2:
            criteria.append((f"depth {depth}: seeds agree", None, f"{len(good)} of {len(at_short)} variants train"))
        else:
            spread = float(np.sqrt((good["ln_sd"] ** 2).mean()))
            width = float(good["ln_regret"].max() - good["ln_regret"].min())
            why = f"{len(good)} variants train; SD {spread:.4f} ≤ {SPREAD} × range {width:.4f}"
            criteria.append((f"depth {depth}: seeds agree", spread <= SPREAD * width, why))
        wide = found["loss"].unstack("steps")
        tau = float(kendalltau(wide[short], wide[2 * short]).statistic)
        criteria.append((f"depth {depth}: the order is stable", tau >= ORDER, f"Kendall's τ {tau:.2f} ≥ {ORDER}"))
    return arms.reset_index(), criteria


def report(runs: pd.DataFrame, name: str) -> str:
    """The result as Markdown, from nothing but the table of runs."""
    arms, criteria = judge(runs)
    missing = [depth for depth in SETTINGS[name].depths if depth not in set(runs["depth"])]
    criteria += [(f"depth {depth}", None, "no run is complete") for depth in missing]
    seeds = sorted(runs["seed"].unique())
    levels = " · ".join(f"{each.replace('_', ' ')} {runs[f'baseline.{each}'].iloc[0]:.3f}" for each in BASELINES)
    met = [each[1] for each in criteria]
    verdict = "not accepted" if False in met else "cannot be tested in full" if None in met else "accepted"
    lines = [
        f"# Acceptance test of `data={name.partition('_')[0]}`, {SETTINGS[name].steps} and {2 * SETTINGS[name].steps} "
        f"steps: {verdict}",
        "",
        "`normexp sweep " + " ".join(overrides(name, len(seeds))) + "`",
        "",
        f"Seeds {seeds[0]} to {seeds[-1]}; baselines in nats per token: {levels}. Losses are those on the validation "
        "part, mean ± standard deviation over seeds, all at one learning rate. The criteria are those of "
        "[acceptance.py](../../../scripts/acceptance.py)."
        + ("" if runs["baseline.floor"].iloc[0] else " The floor is unknown, so 0 is used for it, which is too low."),
        "",
        "| criterion | met | measured |",
        "|---|---|---|",
        *(f"| {what} | {'–' if ok is None else 'yes' if ok else 'no'} | {why} |" for what, ok, why in criteria),
        "",
        "| depth | variant | steps | n | loss | outcomes |",
        "|---|---|---|---|---|---|",
    ]
    for arm in arms.sort_values(["depth", "steps", "loss"]).itertuples():
        loss = f"{arm.loss:.3f} ± {arm.sd:.3f}" if arm.n > 1 else f"{arm.loss:.3f}"
        lines.append(f"| {arm.depth} | {arm.variant} | {arm.steps} | {arm.n} | {loss} | {arm.outcomes} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="The acceptance test of a task.")
    parser.add_argument("name", choices=SETTINGS, nargs="?")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=0)
    parser.add_argument("--judge", type=Path, metavar="CSV")
    parser.add_argument("--collect", type=Path, metavar="FOLDER")
    given = parser.parse_args()
    if given.judge:
        print(report(pd.read_csv(given.judge), given.judge.stem), end="")
        return
    if not given.name:
        parser.error("name a task, or --judge a table")
    folder = given.collect
    if not folder:
        folder = Path("results") / f"acceptance_{given.name}"
        command = [*overrides(given.name, given.seeds), "--name", folder.name, "--jobs", str(given.jobs)]
        subprocess.run([sys.executable, "-m", "normexp", "sweep", *command], check=True)
    print(write(folder, given.name, given.seeds), end="")


def write(folder: Path, name: str, seeds: int) -> str:
    """Write the table of the complete runs of a sweep and the result, and return the latter."""
    import normexp
    from normexp.records.provenance import origins

    runs = normexp.runs(folder)
    last = FIRST_SEED + seeds
    runs = runs[(runs["state"] == "completed") & runs["seed"].between(FIRST_SEED, last, inclusive="left")]
    keys = ["depth", "steps", "variant", "seed"]
    runs = runs.sort_values(keys).drop_duplicates(keys)  # two sweeps in the folder may have trained the same run
    REFERENCE.mkdir(parents=True, exist_ok=True)
    path = REFERENCE / f"{name}.csv"
    runs[[*COLUMNS, *(f"baseline.{each}" for each in BASELINES)]].to_csv(path, index=False)
    made = origins(map(Path, runs["folder"]))
    (REFERENCE / f"{name}_origin.json").write_text(json.dumps(made, indent=1) + "\n")
    text = report(pd.read_csv(path), name)
    path.with_suffix(".md").write_text(text)
    return text


if __name__ == "__main__":
    main()
