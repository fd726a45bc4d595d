"""The numbers of the map for one variant, next to those of all others."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from normexp.cards.start import PEERS
from normexp.maps.numbers import depth50_ends
from normexp.views.formatting import number, slope


class Map(NamedTuple):
    """The tables of a map: one row per point, and one per variant (see normexp.maps)."""

    points: pd.DataFrame
    variants: pd.DataFrame


def shipped(tied: bool) -> Path:
    """The tables that the package has. tied: those of the map with the embedding as the output matrix."""
    return Path(__file__).parent / "reference" / ("tied" if tied else "untied")


def reference(folder: Path) -> Map | None:
    """The tables of a map from its folder; None where there are none."""
    paths = [folder / f"{name}.csv" for name in Map._fields]
    return Map(*map(pd.read_csv, paths)) if all(path.is_file() for path in paths) else None


def numbers(name: str, of: Map | None) -> pd.DataFrame:
    """One row per number and place: number, at, value (with its interval, or the depths between which depth₅₀ is), the
    rank, and the value of pre_ln and post_ln.

    at: the data and the keys of the point. rank: 3 of 41, the best first; 2–4 of 41 where its interval overlaps those
    of others, or its value is theirs. Empty where the map has no row of this variant.
    """
    rows = [] if of is None else [*_points(name, of.points), *_variants(name, of.variants)]
    found = pd.DataFrame(rows, columns=["number", "at", "value", "rank", *PEERS])
    if of is not None:
        data = " and ".join(map(str, of.points["data"].unique()))
        found["at"] = [", ".join(filter(None, (data, at))) for at in found["at"]]
    return found


def _points(name: str, points: pd.DataFrame) -> Iterator[list[str]]:
    keys = [str(key) for key in points.columns[: points.columns.get_loc("data")] if key != "variant"]
    for place, part in points.groupby(keys, sort=False, dropna=False) if keys else [((), points)]:
        at = ", ".join(f"{key} {number(value)}" for key, value in zip(keys, place, strict=True))
        regret = part.assign(**{each: part[each] - part["floor"] for each in ("loss", "low", "high")})
        kind = "regret" if part["floor"].max() > 0 else "loss"  # a floor of 0 is one that is not known
        yield from _row(name, f"{kind} at its best rate", at, regret, "loss", best=1, ends=("low", "high"))
        learned = part.assign(lr=part["lr"].where(part["window"] != 0))  # else no rate is better than another
        yield from _row(name, "best rate", at, learned, "lr")
        octaves = part.assign(window_low=part["window"] - 1, window_high=part["window"] + 1)
        window = ("window", "window_low", "window_high")
        yield from _row(name, "usable rates, octaves (±1)", at, octaves, "window", best=-1, rank_by=window)


def _variants(name: str, variants: pd.DataFrame) -> Iterator[list[str]]:
    keys = [str(key) for key in variants.columns[: variants.columns.get_loc("deepest_trained")] if key != "variant"]
    for place, part in variants.groupby(keys, sort=False, dropna=False) if keys else [((), variants)]:
        at = ", ".join(f"{key} {number(value)}" for key, value in zip(keys, place, strict=True))
        low, high = depth50_ends(part)
        between = part.assign(depth50_low=low, depth50_high=high)
        yield from _row(name, "depth₅₀", at, between, "depth50", best=-1, ends=("depth50_low", "depth50_high"))
        ends = part[["drift_low", "drift_high"]]
        least = ends.abs().min(axis=1).where(np.sign(ends).sum(axis=1) != 0, 0.0)
        steady = part.assign(size=part["drift"].abs(), size_low=least, size_high=ends.abs().max(axis=1))
        drift, size = ("drift_low", "drift_high"), ("size", "size_low", "size_high")
        yield from _row(name, "drift of the best rate", at, steady, "drift", best=1, ends=drift, rank_by=size)


def _row(
    name: str,
    what: str,
    at: str,
    rows: pd.DataFrame,
    column: str,
    best: int = 0,
    ends: tuple[str, str] | None = None,
    rank_by: tuple[str, str, str] | None = None,
) -> Iterator[list[str]]:
    """The row of one number. best: 1 where the smallest value is the best, −1 where the largest is, 0 for neither.

    ends: the columns of its interval. rank_by: the columns of the value and the interval that decide the rank, if
    others do.
    """
    by_name = rows.set_index("variant")
    if name not in by_name.index:
        return
    rank = _rank(by_name, name, rank_by or (column, *(ends or (column, column))), best) if best else "–"
    others = [_value(by_name, peer, column, ends) for peer in PEERS]
    yield [what, at, _value(by_name, name, column, ends), rank, *others]


def _rank(rows: pd.DataFrame, name: str, by: tuple[str, str, str], best: int) -> str:
    """The ranks that a variant may have; – without a value. by: the columns of the value and of its ends."""
    column, *ends = by
    known = rows[rows[column].notna()]
    if name not in known.index:
        return "–"
    value = best * known[column].astype(float)
    low, high = [best * known[each].astype(float).fillna(known[column]) for each in ends][::best]
    ahead, behind = (value < value[name]) & (high <= low[name]), (value > value[name]) & (low >= high[name])
    first, last = int(ahead.sum()) + 1, len(known) - int(behind.sum())
    return f"{first} of {len(known)}" if first == last else f"{first}–{last} of {len(known)}"


def _value(rows: pd.DataFrame, name: str, column: str, ends: tuple[str, str] | None) -> str:
    if name not in rows.index or math.isnan(value := _number(rows, name, column)):
        return "–"
    if math.isinf(value):
        return "beyond the map"
    bounds = [_number(rows, name, end) for end in ends or ()]
    interval = f" [{bounds[0]:.3g}, {bounds[1]:.3g}]" if bounds and not any(map(math.isnan, bounds)) else ""
    return f"{value:.3g}{interval}"


def _number(rows: pd.DataFrame, name: str, column: str) -> float:
    return float(rows[column].astype(float)[name])


def predictors(folder: Path) -> str:
    """Whether measures of the start predict training: what was found of the variants of the map in this folder."""
    found = pd.read_csv(folder / "predictors.csv").sort_values("tau", ascending=False)
    name = [f"{row['label']} (Kendall's τ {slope(row['tau'], row['low'], row['high'])})" for _, row in found.iterrows()]
    found = found.assign(name=name)
    compared = f"Of {len(found)} measures at the start"
    losses = f"the losses of {found['variants'].max()} variants at {found['layers'].iloc[0]}"
    sure = found[found["verdict"] == "holds"]
    if sure.empty:
        return f"{compared} none is sure to predict {losses}; the closest is {name[0]}."
    kinds = (("", sure[sure["planned"]]), ("exploratory: ", sure[~sure["planned"]]))
    lists = [f"{kind}{', '.join(part['name'])}" for kind, part in kinds if len(part)]
    return f"{compared} these predict {losses}: {'; '.join(lists)}."
