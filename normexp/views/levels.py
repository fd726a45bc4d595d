"""Losses that a model reaches which ignores part of the problem, and how far a loss is above the smallest possible."""

from typing import NamedTuple

import pandas as pd

from normexp.views import formatting

BASELINES = {
    **{"unigram": "unigram", "position_only": "position-only", "target_bigram": "target bigram"},
    **{"target_trigram": "target trigram", "target_4gram": "target 4-gram", "target_5gram": "target 5-gram"},
    **{"class_prior": "class prior", "blind": "source-blind", "bar": "bar", "floor": "floor"},
}
# Losses reach the floor where one of them gets this close, as a share of blind − floor.
REACHED = 0.1
NEAR = 1e-9


class Scale(NamedTuple):
    """How losses are drawn. regret: loss − floor on a logarithmic axis. label: of the axis; note: for the caption."""

    regret: bool
    label: str
    note: str


def levels(frame: pd.DataFrame) -> list[tuple[str, float]]:
    """Name and loss of every baseline that all of these runs share, the highest first.

    Baselines of one value, such as source-blind and the class prior of a classifier, have one entry.
    """
    named: list[tuple[str, float]] = []
    for column in (str(column) for column in frame if str(column).startswith("baseline.")):
        values = frame[column].dropna()
        name = column.removeprefix("baseline.")
        if len(values) and values.max() - values.min() < NEAR:
            named.append((BASELINES.get(name, name), float(values.iloc[0])))
    merged: dict[float, list[str]] = {}
    for name, value in sorted(named, key=lambda level: -level[1]):
        same = next((other for other in merged if abs(other - value) < NEAR), value)
        merged.setdefault(same, []).append(name)
    return [(_joined(names), value) for value, names in merged.items()]


def _joined(names: list[str]) -> str:
    """Names of one value; blind says nothing new where it is another baseline."""
    return " = ".join(name for name in names if name != "source-blind" or len(names) == 1)


def floors(frame: pd.DataFrame) -> pd.Series:
    """The floor of every run, 0 where it has none."""
    return frame["baseline.floor"].fillna(0.0) if "baseline.floor" in frame else pd.Series(0.0, frame.index)


def on_axis(frame: pd.DataFrame, scale: Scale) -> list[tuple[str, float]]:
    """The shared baselines at their heights; what is 0, as the floor is on a logarithmic axis, is not on it."""
    floor = float(floors(frame).mean()) if scale.regret else 0.0
    return [(name, loss - floor) for name, loss in levels(frame) if loss - floor > NEAR]


def scale_of(frame: pd.DataFrame) -> Scale:
    """Whether to draw the losses of these runs as regret: where one of them comes close to the floor, so that a
    linear axis would show those that do as one.
    """
    unit = formatting.unit(frame)
    if not {"baseline.blind", "baseline.floor"} <= set(frame):
        return Scale(False, f"loss ({unit})", "")
    blind, floor = frame["baseline.blind"], frame["baseline.floor"]
    reached = frame["final_loss"].astype(float) - floor <= REACHED * (blind - floor)
    if not reached.any():
        return Scale(False, f"loss ({unit})", "")
    if floor.max() == 0:
        return Scale(True, f"loss ({unit})", "The floor is 0.")
    low, high = f"{floor.min():.2f}", f"{floor.max():.2f}"
    return Scale(True, f"loss − floor ({unit})", f"The floor is {low if low == high else f'{low} to {high}'}.")


def different_data(frame: pd.DataFrame) -> list[str]:
    """One line for each data config whose runs were trained on different data, as their baselines show.

    A file may have been edited between two runs, or a package updated whose text a corpus reads.
    """
    measured = [str(column) for column in frame.columns if str(column).startswith("baseline.")]
    keys = [key for key in map(str, frame.columns) if key in ("task", "data") or key.startswith("data.")]
    if not measured or "data" not in keys:
        return []
    lines = []
    for _, runs in frame.dropna(subset=measured, how="all").groupby(keys, sort=False, dropna=False):
        counts = runs[measured].astype(float).round(5).value_counts(dropna=False)
        if len(counts) > 1:
            lines.append(
                f"different data: data={runs['data'].iloc[0]} was not the same for all runs "
                f"({' and '.join(map(str, counts))} runs), so their losses cannot be compared"
            )
    return lines
