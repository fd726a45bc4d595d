"""What a map says in numbers: one row per point, and one per variant, from the tables of its runs alone."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from normexp.maps.known import COLUMNS
from normexp.maps.rates import Tried, best, interior, usable, window
from normexp.maps.survey import TUNING_SEED, loss_of
from normexp.records.outcome import HAS_LEARNED
from normexp.studies.verdict import LEVEL, LOSS_MARGIN, interval
from normexp.views.runs import swept_keys


def losses(runs: pd.DataFrame, keys: Sequence[str] | None = None) -> pd.DataFrame:
    """One row per complete run of a map: the keys of its point, data, floor, blind, lr, seed, loss, outcome, step.

    runs: as `load_runs` gives them. keys: of a point, but the data; None for the variant, the depth and whatever else
    was swept. loss: on the validation part, after the last step. Seed 100 is the search's.
    """
    done = runs[runs["state"] == "completed"]
    if keys is None:
        swept = dict.fromkeys(["variant", "depth", *swept_keys(done)])
        keys = [key for key in swept if key not in COLUMNS]
    frame = done.assign(
        loss=[loss_of(row) for _, row in done.iterrows()], floor=done["baseline.floor"], blind=done["baseline.blind"]
    )
    return frame[[*keys, *COLUMNS]].reset_index(drop=True)


def points(found: pd.DataFrame) -> pd.DataFrame:
    """One row per point, in the order of the sweep, from `losses`.

    Columns: the keys of the point; data, floor, blind; lr, the best rate; interior, whether a rate on each side of it
    was tried; lr_fitted, the minimum of a parabola of the loss over log₂ lr through these three; window, octaves of
    usable rates, NaN where an end of it was not found; tried, the number of rates; n, loss, low and
    high, the final seeds' mean validation loss with its 95 % interval, and outcomes; total_steps, of all these runs.
    """
    keys = _point_keys(found)
    rows = [dict(zip(keys, key, strict=True)) | _point(part) for key, part in _by(found, keys)]
    return pd.DataFrame(rows)


def variants(found: pd.DataFrame) -> pd.DataFrame:
    """One row per variant, or per variant, data and other swept key, from `points`.

    Columns: deepest_trained, the greatest depth at which most seeds are trained at the best rate, and depth50, where
    that share passes one half: halfway, on a logarithmic scale, to the first depth at which it does not; infinite where
    no deeper one fails, NaN where a depth in between has no seeds or a shallower one fails. depths: those of the map.
    drift: d ln lr / d ln depth of the best rate, over the depths that train, with its 95 % interval (drift_low,
    drift_high; three depths at least). window: octaves of usable rates, the smallest over the depths that train.
    """
    keys = ["variant", *further_keys(found)]
    rows = [dict(zip(keys, key, strict=True)) | _variant(part.sort_values("depth")) for key, part in _by(found, keys)]
    return pd.DataFrame(rows)


def depth50_ends(found: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """The depths between which depth50 is: the deepest that trains, 0 where none does, and the next one of the map.

    found: as `variants` returns, whose depth50 is their geometric mean.
    """
    return found["deepest_trained"], found["depth50"] ** 2 / found["deepest_trained"].clip(lower=1)


def _point_keys(found: pd.DataFrame) -> list[str]:
    """The keys of a point among the columns of `losses` and `points`, which come first; the data is the last."""
    columns = list(found.columns)
    return columns[: columns.index("data") + 1]


def further_keys(found: pd.DataFrame) -> list[str]:
    """The keys of a point in which its points differ, other than variant and depth."""
    keys = [key for key in _point_keys(found) if key not in ("variant", "depth")]
    return [key for key in keys if key != "data" or found["data"].nunique() > 1]


def _by(frame: pd.DataFrame, keys: Sequence[str]) -> Iterator[tuple[tuple[object, ...], pd.DataFrame]]:
    """The rows that share the values of these keys, and the values."""
    yield from frame.groupby(list(keys), sort=False, dropna=False)


def _point(runs: pd.DataFrame) -> dict[str, object]:
    tuning, final = runs[runs["seed"] == TUNING_SEED], runs[runs["seed"] != TUNING_SEED]
    start = float(tuning["lr"].min())  # only the ratios of the rates matter here
    tried = {
        round(math.log2(row["lr"] / start)): Tried(row["loss"], row["outcome"] in HAS_LEARNED)
        for _, row in tuning.iterrows()
    }
    floor, blind = float(runs["floor"].iloc[0]), float(runs["blind"].iloc[0])
    margin = LOSS_MARGIN * (blind - floor)
    k = best(tried)
    usable_ends = [usable(tried, end, margin) for end in (min(tried), max(tried))]
    losses = final.sort_values("seed")["loss"].tolist()
    at = interval(losses, -math.inf, math.inf, "difference", LEVEL) if losses else None
    return {
        "floor": floor,
        "blind": blind,
        "lr": start * 2.0**k,
        "interior": interior(tried),
        "lr_fitted": start * 2.0 ** _vertex(tried, k),
        "window": math.nan if any(usable_ends) else window(tried, margin),
        "tried": len(tried),
        "n": len(losses),
        "loss": at.estimate if at else math.nan,
        "low": at.low if at else math.nan,
        "high": at.high if at else math.nan,
        "trained": float((final["outcome"] == "trained").mean()) if len(final) else math.nan,
        "outcomes": _counts(final["outcome"]),
        "total_steps": int(runs["step"].sum()),
    }


def _counts(outcomes: pd.Series) -> str:
    """trained 4, stuck 1"""
    return ", ".join(f"{outcome} {count}" for outcome, count in outcomes.value_counts(sort=False).items())


def _vertex(tried: dict[int, Tried], k: int) -> float:
    """Where the parabola through the best rate and its neighbours has its minimum, as an exponent."""
    around = [tried[each].loss for each in (k - 1, k, k + 1) if each in tried]
    if len(around) < 3 or not np.isfinite(around).all():
        return float(k)
    left, middle, right = around
    bend = left - 2 * middle + right
    return k + (left - right) / (2 * bend) if bend > 0 else float(k)


def _variant(found: pd.DataFrame) -> dict[str, object]:
    works = found[found["trained"] > 0.5]
    fails = found[found["trained"] <= 0.5]
    deepest = int(works["depth"].max()) if len(works) else 0
    beyond = fails.loc[fails["depth"] > deepest, "depth"]
    first = float(beyond.min()) if len(beyond) else math.inf
    unknown = found["trained"].isna() & (found["depth"] > deepest) & (found["depth"] < first)
    unknown |= (found["trained"] <= 0.5) & (found["depth"] < deepest)
    fit = _drift(works)
    return {
        "deepest_trained": deepest,
        "depth50": math.nan if unknown.any() else math.sqrt(max(deepest, 1) * first),
        "depths": " ".join(map(str, found["depth"])),
        "drift": fit[0],
        "drift_low": fit[1],
        "drift_high": fit[2],
        "window": float(works["window"].min(skipna=False)) if len(works) else 0.0,
    }


def _drift(works: pd.DataFrame) -> tuple[float, float, float]:
    """Slope of ln lr over ln depth with its 95 % interval."""
    if len(works) < 3:
        return math.nan, math.nan, math.nan
    fit = stats.linregress(np.log(works["depth"].astype(float)), np.log(works["lr_fitted"]))
    half = float(stats.t.ppf((1 + LEVEL) / 2, len(works) - 2) * fit.stderr)
    return float(fit.slope), float(fit.slope - half), float(fit.slope + half)
