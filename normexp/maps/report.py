"""The files of a map: map.md, its tables as CSV, its figures."""

import json
import shutil
from pathlib import Path

import pandas as pd

from normexp.maps import numbers
from normexp.maps.survey import EXPONENTS, TUNING_SEED, Survey
from normexp.records.provenance import origins
from normexp.views import formatting, style
from normexp.views.grid import combinations, where
from normexp.views.levels import different_data
from normexp.views.markdown import table as markdown_table
from normexp.views.rate_by_depth import rate_by_depth
from normexp.views.rate_map import ranking, rate_map
from normexp.views.runs import load_runs

TITLE = "Which variant trains at which depth and learning rate"
SLOPED = 3  # depths that a slope needs
RATES = "Does the best learning rate carry over with depth?"


def write(asked: Survey) -> tuple[Path, list[Path]]:
    """Write map.md, points.csv, variants.csv, runs.csv and the figures from the runs on disk; return their paths."""
    folder = asked.sweep.path
    runs, losses = measured(asked)
    points = numbers.points(losses)
    variants = numbers.variants(points)
    for name, frame in (("points", points), ("variants", variants), ("runs", losses)):
        frame.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n", float_format="%.6g")
    (folder / "origin.json").write_text(json.dumps(origins(map(Path, runs["folder"])), indent=1) + "\n", "utf-8")
    figures = _figures(folder, runs, points, variants, losses[losses["seed"] == TUNING_SEED])
    page = folder / "map.md"
    page.write_text(markdown(asked, runs, points, variants, figures), "utf-8")
    return page, figures


def measured(asked: Survey) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The runs of the map on disk that are complete, as `load_runs` gives them, and the losses of all that count.

    Those are the runs of the search and the fresh seeds at the best rates, known ones too; see `numbers.losses`.
    """
    runs = load_runs(asked.sweep.path)
    places = {run.name: place for place, run in enumerate(asked.runs())}
    ours = runs["folder"].map(lambda run: Path(run).name in places)
    runs = runs[ours & (runs["state"] == "completed")].reset_index(drop=True)
    losses = numbers.losses(runs).set_axis([Path(run).name for run in runs["folder"]])
    if known := {name: asked.known[name] for name in places if name in asked.known}:
        losses = pd.concat([losses, pd.DataFrame.from_dict(known, "index")[[*losses]]])
    return runs, losses.sort_index(key=lambda names: names.map(places))


def publish(folder: Path, out: Path) -> None:
    """Copy what a reader needs, and none of the runs, to another folder."""
    out.mkdir(parents=True, exist_ok=True)
    for name in ("map.md", "points.csv", "variants.csv", "runs.csv", "origin.json"):
        shutil.copy2(folder / name, out)
    shutil.copytree(folder / "figures", out / "figures", dirs_exist_ok=True)


def markdown(
    asked: Survey, runs: pd.DataFrame, points: pd.DataFrame, variants: pd.DataFrame, figures: list[Path]
) -> str:
    """The page: the command, both tables, the figures."""
    cost = int(points["total_steps"].sum())
    grid = steps_of_grid(asked)
    known = sum(run.name in asked.known for run in asked.runs())
    took = f"{len(runs) + known} runs" + (f" ({known} of them by an earlier map)" if known else "")
    lines = [
        f"# {TITLE}",
        "",
        f"`normexp map {' '.join(asked.sweep.overrides)}`",
        "",
        f"{_settings(runs)}. Losses are those on the validation part after the last step, in {formatting.unit(runs)}. "
        f"Rates are a factor of 2 apart and were chosen on seed {TUNING_SEED}; losses are means over fresh seeds with "
        f"95 % intervals.{_stopped(asked)}",
        "",
        *_open(asked),
        *(f"{line}.\n" for line in different_data(runs)),
        f"It took {took} and {cost:,} steps, {cost / grid:.0%} of the {grid:,} of the full grid of "
        f"{len(EXPONENTS)} rates.",
        "",
        _table(
            points.assign(
                rate=[formatting.number(row["lr"]) + _found(row) for _, row in points.iterrows()],
                loss=[_interval(row) for _, row in points.iterrows()],
            ).drop(columns=["low", "high", "floor", "blind", "lr", "interior", "lr_fitted", "trained"])
        ),
        "window: width in octaves of the range of rates around the best one whose loss is higher by at most 5 % of "
        "blind − floor; – where an end of it was not found.",
        "",
        _table(variants.round(3)),
        "depth50: where the share of trained seeds passes one half, inf where every depth trains, – where a depth "
        "fails that is shallower than one that trains, or one between has no seeds; drift: slope of the "
        "best rate over depth, both logarithmic, with its 95 % interval.",
        "",
        *(f"![{path.stem}](figures/{path.name})\n" for path in figures if path.suffix == ".png"),
    ]
    return "\n".join(lines)


def _open(asked: Survey) -> list[str]:
    """A paragraph that says what is missing; none where the map is complete."""
    found = asked.found()
    seeds = sum(not asked.is_complete(run) for point in found for run in asked.chosen(point))
    searches = len(asked.points) - len(found)
    if not searches and not seeds:
        return []
    return [f"This map is not complete: {searches} searches are open and {seeds} fresh seeds are missing.", ""]


def steps_of_grid(asked: Survey) -> int:
    """The steps of every rate at every point, and of the fresh seeds at one of them."""
    return sum(point.steps * (len(EXPONENTS) + len(asked.final[point][0])) for point in asked.points)


def _stopped(asked: Survey) -> str:
    """When the search gave a run up, as a sentence; empty if it never does."""
    rates = next(iter(asked.tuning.values()))
    at = next(iter(rates.values())).config.training.stop_stuck
    after = f"{at.removesuffix('%')} % of their steps" if at.endswith("%") else f"{at} steps"
    return f" Runs of the search that were still stuck after {after} were stopped." if at else ""


def _found(point: pd.Series) -> str:
    """What there is to know of a best rate: that none learned, or that it is at the edge of those tried."""
    return " (no rate learned)" if point["window"] == 0 else "" if point["interior"] else " (edge)"


def _interval(row: pd.Series) -> str:
    if row["n"] < 2:
        return f"{row['loss']:.3f}" if row["n"] else "–"
    return f"{row['loss']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"


def _table(frame: pd.DataFrame) -> str:
    rows = (["–" if cell != cell else str(cell) for cell in row] for row in frame.itertuples(index=False))
    return markdown_table([*map(str, frame.columns)], rows)


def _settings(runs: pd.DataFrame) -> str:
    """What the runs share, without the number of seeds, of which the search has one and the best rate several."""
    return formatting.heading(runs.drop(columns="lr"), ["variant", "depth", "seed"]).rpartition(" · n = ")[0]


def _figures(
    folder: Path, runs: pd.DataFrame, points: pd.DataFrame, variants: pd.DataFrame, rates: pd.DataFrame
) -> list[Path]:
    """A set of figures for each combination of what was swept apart from variant and depth, whose values name them."""
    further = numbers.further_keys(points)
    drawn: list[Path] = []
    with style.context():
        for end, part in combinations(points, further):
            alike = {key: part[key].iloc[0] for key in further}
            its_runs, its_variants, its_rates = (where(frame, **alike) for frame in (runs, variants, rates))
            if its_runs.empty:  # all of them are known, so what they have in common with the others is said
                its_runs = runs.drop(columns=[key for key in alike if key in runs])
            drawn += _set_of_figures(folder / "figures", end, its_runs, part, its_variants, its_rates)
    return drawn


def _set_of_figures(
    folder: Path, end: str, runs: pd.DataFrame, points: pd.DataFrame, variants: pd.DataFrame, rates: pd.DataFrame
) -> list[Path]:
    about = {"settings": _settings(runs), "unit": formatting.unit(runs)}
    drawn = [*style.save(rate_map(rates, points, title=TITLE, **about), folder / f"rates{end}")]
    at_best = ranking(points, title="Every variant at its best learning rate", **about)
    drawn += style.save(at_best, folder / f"ranking{end}")
    if points["depth"].nunique() >= SLOPED:
        by_depth = rate_by_depth(points, variants, title=RATES, settings=about["settings"])
        drawn += style.save(by_depth, folder / f"rate_by_depth{end}")
    return drawn
