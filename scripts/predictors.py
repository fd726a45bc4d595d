"""Which measurement at the start predicts how well a variant trains, on the map of twelve variants?

    python scripts/predictors.py            measures twelve untrained variants at 24 layers (resumable), then compares
    python scripts/predictors.py --untied   the same at 6, 12 and 24 layers, for the map without tied matrices
    python scripts/predictors.py --draw     figure and page from results/reference/predictors

Each measure is compared with the loss of the variant at its best rate on the map. Windows and signs are in
results/reference/METHOD.md.
"""

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from normexp.cards.numbers import shipped
from normexp.records.provenance import origins
from normexp.studies.statistics import rate
from normexp.studies.verdict import interval, judge
from normexp.views import formatting, style
from normexp.views.grid import add_titles_and_legend, panels
from normexp.views.markdown import table as markdown_table
from normexp.views.names import name_of
from normexp.views.runs import load_runs, load_table
from scripts import twelve

SEEDS = 5
WIDEST = 1e9  # ratio of values on a logarithmic axis
PROBES = ("stream_gradient", "output_shift", "update_shift", "jacobian", "sharpness", "token_similarity")
KEYS = ("variant", "depth", "seed")


@dataclass(frozen=True)
class Edition:
    """The variants of one map at some of its depths. planned: the measures of which something was expected."""

    folder: str
    map: twelve.Edition
    depths: tuple[int, ...]
    planned: tuple[str, ...]

    @property
    def path(self) -> Path:
        return twelve.REFERENCE / self.folder

    def targets(self, depth: int) -> pd.Series:
        """Loss at the best rate by variant, without those of which no rate inside was found, or none that learns."""
        points = self.map.table("points")
        at = points[(points["depth"] == depth) & points["interior"] & (points["window"] != 0)]
        return at.set_index("variant")["loss"].rename("loss")

    @property
    def layers(self) -> str:
        """24 layers; 6, 12 and 24 layers"""
        *first, last = map(str, self.depths)
        return f"{', '.join(first)} and {last} layers" if first else f"{last} layers"


@dataclass(frozen=True)
class Measure:
    """A number of an untrained model. sign: 1 if theory says that a larger value is worse, −1 if a smaller one is."""

    label: str
    source: str
    sign: int
    of: Callable[[Mapping[str, pd.DataFrame]], float]


def _in_words(label: str) -> str:
    """A label without bars, which mean something else where tables are joined with |."""
    return f"absolute {label.strip('|')}" if label.startswith("|") else label


def last(name: str) -> Callable[[Mapping[str, pd.DataFrame]], float]:
    """The value of the last row of a statistic, which is that of the whole stack or of its last layer."""
    return lambda rows: float(rows[name].sort_values("layer", kind="stable")["value"].iloc[-1])


def slope(rows: Mapping[str, pd.DataFrame]) -> float:
    layers = rows["stream_grad_norm"].groupby("layer")["value"].last()
    return abs(rate(layers.index, layers))


MEASURES = {
    "gradient_slope": Measure("|slope of log stream gradient|", "Xiong et al. 2020", 1, slope),
    "output_shift": Measure("output shift by noise", "Liu et al. 2020", 1, last("output_shift")),
    "update_shift": Measure("output shift by one update", "Wang et al. 2022", 1, last("update_shift_norm")),
    "jacobian": Measure(
        "|log mean square of the Jacobian|",
        "Pennington et al. 2017",
        1,
        lambda rows: abs(math.log(last("jacobian_mean_square")(rows))),
    ),
    "sharpness": Measure("preconditioned sharpness", "Cohen et al. 2022", 1, last("preconditioned_sharpness")),
    "rank_residual": Measure("rank residual", "Dong et al. 2021", -1, last("rank_residual")),
}
STATISTICS = (
    *("stream_grad_norm", "output_shift", "update_shift_norm"),
    *("jacobian_mean_square", "preconditioned_sharpness", "rank_residual"),
)


TIED = Edition("predictors", twelve.TIED, (24,), tuple(MEASURES))
UNTIED = Edition("predictors_untied", twelve.UNTIED, (6, 12, 24), ("jacobian",))


def make(edition: Edition, jobs: int) -> None:
    """Measure every variant of the map, and write measures.csv."""
    variants, depths = ",".join(twelve.VARIANTS), ",".join(map(str, edition.depths))
    grid = ["task=language_modelling", f"depth={depths}", f"variant={variants}"]
    grid += [f"seed=range({SEEDS})", f"probe=[{','.join(PROBES)}]", "probes.sharpness.iterations=10"]
    grid += edition.map.overrides
    command = [sys.executable, "-m", "normexp", "probe", *grid, "--name", edition.folder, "--jobs", str(jobs)]
    subprocess.run(command, check=True)
    runs = load_runs(Path(os.environ.get("NORMEXP_RESULTS", "results"), edition.folder))
    rows = load_table(runs, "layers", [("statistic", "in", list(STATISTICS))], KEYS)
    found = [dict(zip(KEYS, key, strict=True)) | measured(part) for key, part in rows.groupby([*KEYS], sort=False)]
    edition.path.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(found).to_csv(edition.path / "measures.csv", index=False, lineterminator="\n", float_format="%.6g")
    (edition.path / "origin.json").write_text(json.dumps(origins(map(Path, runs["folder"])), indent=1) + "\n")


def measured(rows: pd.DataFrame) -> dict[str, float]:
    """Every measure of one model; NaN where its variant does not show the tensors that it needs."""
    by_name = {str(name): part for name, part in rows.groupby("statistic")}
    return {name: each.of(by_name) if _measurable(each, by_name) else math.nan for name, each in MEASURES.items()}


def _measurable(measure: Measure, rows: Mapping[str, pd.DataFrame]) -> bool:
    try:
        return bool(np.isfinite(measure.of(rows)))
    except (KeyError, ValueError, IndexError):
        return False


def tau(values: Sequence[pd.DataFrame], sign: int) -> float:
    """Kendall's τ between value and loss in the direction of the theory, averaged over the depths."""
    return sign * fmean(float(kendalltau(each["value"], each["loss"]).statistic) for each in values)


def pseudo_values(values: Sequence[pd.DataFrame], sign: int) -> list[float]:
    """The jackknife's: one per variant that is left out, at all depths; their mean is τ without its bias, their spread
    its error."""
    names = dict.fromkeys(name for each in values for name in each.index)
    count, whole = len(names), tau(values, sign)
    return [count * whole - (count - 1) * tau(without(values, name), sign) for name in names]


def without(values: Sequence[pd.DataFrame], name: str) -> list[pd.DataFrame]:
    return [each.drop(index=name, errors="ignore") for each in values]


def means(edition: Edition, measures: pd.DataFrame, name: str) -> list[pd.DataFrame]:
    """By depth, the mean of a measure over the seeds and the loss of every variant; without those that lack one."""
    found = []
    for depth in edition.depths:
        value = measures[measures["depth"] == depth].groupby("variant")[name].mean(skipna=False).rename("value")
        found.append(pd.concat([value, edition.targets(depth)], axis=1).dropna())
    return found


def compared(edition: Edition, measures: pd.DataFrame) -> pd.DataFrame:
    """One row per measure: Kendall's τ with the loss, in the direction of the theory, its interval and the verdict."""
    rows = []
    for name, measure in MEASURES.items():
        values = means(edition, measures, name)
        samples = pseudo_values(values, measure.sign)
        at = interval(samples, 0.0, math.inf, "difference")
        alone = [float(kendalltau(each["value"], each["loss"]).pvalue) for each in values]
        rows.append(
            {
                **{"measure": name, "label": _in_words(measure.label), "source": measure.source},
                **{"planned": name in edition.planned, "layers": edition.layers, "variants": len(values[-1])},
                "tau": tau(values, measure.sign),
                **{
                    "low": max(at.low, -1.0),
                    "high": min(at.high, 1.0),
                    "verdict": str(judge(samples, 0.0, math.inf, "difference")),
                },
                **({"p": alone[0]} if len(alone) == 1 else {}),
            }
        )
    return pd.DataFrame(rows).sort_values("tau", ascending=False, ignore_index=True)


def draw(edition: Edition) -> None:
    """predictors.csv, the page and the figure, from nothing but tables."""
    measures = pd.read_csv(edition.path / "measures.csv")
    found = compared(edition, measures)
    found.to_csv(edition.path / "predictors.csv", index=False, lineterminator="\n", float_format="%.4g")
    shutil.copyfile(edition.path / "predictors.csv", shipped(edition is TIED) / "predictors.csv")
    with style.context():
        style.save(scatter(edition, measures, found), edition.path / "figures" / "predictors")
    (edition.path / "predictors.md").write_text(page(edition, found, measures))


def scatter(edition: Edition, measures: pd.DataFrame, found: pd.DataFrame):
    """One panel per measure, the best predictor first: the measure of every variant, in the order of their losses.

    At the greatest depth.
    """
    figure, grid = panels(2, 3, 2.2, False)
    depth = edition.depths[-1]
    deepest = measures[measures["depth"] == depth].groupby("variant")
    order = edition.targets(depth).sort_values(ascending=False).index
    for axis, row in zip(grid.flat, found.itertuples(), strict=True):
        values, spread = deepest[row.measure].mean(skipna=False)[order], deepest[row.measure].std(skipna=False)[order]
        axis.errorbar(values, range(len(order)), xerr=spread, fmt="o", ms=3.5, color="black", lw=0.8)
        if values.min() > 0 and values.max() / values.min() < WIDEST:
            axis.set_xscale("log")
        axis.set_xlabel(MEASURES[row.measure].label)
        axis.set_title(f"τ = {formatting.slope(row.tau, row.low, row.high)}", loc="left")
        axis.set_yticks(range(len(order)), [name_of("variant", name) for name in order] if axis in grid[:, 0] else [])
        axis.grid(axis="y", alpha=0.3)
    untied = "untied · " if edition is UNTIED else ""
    over = f", the mean over {edition.layers}" if len(edition.depths) > 1 else ""
    add_titles_and_legend(
        figure,
        "What the start predicts",
        f"docstrings · {untied}{depth} layers · means and standard deviations over {SEEDS} seeds at the start",
        "A measure of the untrained model, the variant with the lowest validation loss at its best rate at the top. τ: "
        f"Kendall's with these losses{over}, in the direction that the theory predicts, with its jackknife interval "
        "over variants, cut at ±1.",
        [],
    )
    return figure


def page(edition: Edition, found: pd.DataFrame, measures: pd.DataFrame) -> str:
    several = len(edition.depths) > 1
    first = MEASURES[found["measure"][0]]
    values = means(edition, measures, found["measure"][0])
    others = {name: tau(without(values, name), first.sign) for name in values[-1].index}
    most = max(others, key=lambda name: abs(others[name] - found["tau"][0]))
    rows = [
        [
            MEASURES[row.measure].label.replace("|", "∣"),
            row.source,
            str(row.variants),
            formatting.slope(row.tau, row.low, row.high),
            row.verdict + ("" if row.measure in edition.planned else " (exploratory)"),
            *([] if several else [f"{row.p:.2g}"]),
        ]
        for row in found.itertuples()
    ]
    committed = (
        "What was expected of the Jacobian was committed before the losses of this map were known, but for those of "
        "four variants at 6 layers; the other measures are exploratory ([method](../METHOD.md))."
        if several
        else "Signs and window were committed before anything was measured ([method](../METHOD.md)); the losses were "
        "known then."
    )
    averaged = "averaged over the depths, " if several else ""
    p = (
        "p is for no order at all and either sign, exact where no two variants have the same value, without a "
        "correction for six measures. It was added when the intervals were known, so it is exploratory."
    )
    lines = [
        f"# Which measurement at the start predicts the loss at {edition.layers}{' without tying' if several else ''}?",
        "",
        f"Untrained variants on docstrings at {edition.layers}, means over {SEEDS} seeds, compared with the loss at "
        f"the best rate of each variant on the [map](../{edition.map.folder}/map.md). τ is Kendall's between measure "
        f"and loss over the variants, {averaged}positive where the order is the one that the theory predicts, with a "
        "95 % jackknife interval that leaves out one variant at a time, cut at ±1. A measure predicts "
        f"if the whole interval is above 0. {committed}",
        "",
        markdown_table(["measure", "after", "variants", "τ", "predicts", *([] if several else ["p"])], rows),
        *([] if several else [p, ""]),
        "![Every measure, over the variants in the order of their losses](figures/predictors.png)",
        "",
        f"The interval of the first rests on one variant most: without {most} its τ is {others[most]:.2f}.",
        "",
        "Ten steps of Lanczos give the sharpness. One task, one width, one init: what holds elsewhere is another "
        "question.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--untied", action="store_true", help="the map with an output matrix of its own")
    parser.add_argument("--draw", action="store_true", help="only draw, from the published tables")
    parser.add_argument("--jobs", type=int, default=0)
    given = parser.parse_args()
    edition = UNTIED if given.untied else TIED
    if not given.draw:
        make(edition, given.jobs)
    draw(edition)


if __name__ == "__main__":
    main()
