"""What a figure shows, as one sentence computed from the rows that it draws."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from normexp.views import formatting
from normexp.views.grid import values_of, where
from normexp.views.names import name_of
from normexp.views.sentences import NAMED


def of_line_plot(
    rows: pd.DataFrame,
    x: str,
    *,
    label: str,
    x_label: str | None = None,
    colour: str = "variant",
    column: str | None = None,
    row: str | None = None,
    log: str = "",
    names: Mapping[float, str] | None = None,
    **_: Any,
) -> str:
    """The mean of each colour at the right end of the last panel.

    For example "Gradient norm at layer 18 (decoder): post_ln 1.02; pre_ln 0.36." The keyword arguments are those of
    `line_plot`; on a logarithmic y axis the mean is geometric.
    """
    panel = {key: values_of(rows, key)[-1] for key in (column, row) if key}
    part, end = where(rows, **panel), where(rows, **panel)[x].max()
    on_axis = bool(names) and bool((part.groupby(colour)[x].nunique() == 1).all())  # as in line_plot
    said = []
    for value in values_of(rows, colour):
        here = where(part, **{colour: value} if on_axis else {colour: value, x: end})["value"]
        said.append(f"{name_of(colour, value)} {_mean(here, 'y' in log) if len(here) else 'not measured'}")
    at = names.get(end, "") if names else f"{x_label or x} {formatting.number(end)}"
    place = ", ".join(name_of(key, value) for key, value in panel.items())
    subject = f"{label[:1].upper()}{label[1:]}{'' if on_axis or not at else f' at {at}'}"
    return f"{subject}{f' ({place})' if place else ''}: {_listed(said)}."


def of_heat_map(
    rows: pd.DataFrame,
    x: str,
    y: str,
    *,
    label: str,
    x_label: str = "",
    y_label: str = "",
    column: str = "variant",
    row: str | None = None,
    **_: Any,
) -> str:
    """The largest mean of each panel, and where it is. The keyword arguments are those of `heat_map`."""
    said = []
    for values, part in rows.groupby([key for key in (column, row) if key], sort=False):
        means = part.groupby([x, y])["value"].mean()
        finite = means[np.isfinite(means)]
        panel = ", ".join(name_of(key, value) for key, value in zip((column, row), values, strict=False) if key)
        if len(finite):
            place = " and ".join(
                f"{name or key} {formatting.number(value)}"
                for key, name, value in zip((x, y), (x_label, y_label), finite.idxmax(), strict=True)
            )
            said.append(f"{panel} {_number(float(finite.max()))} ({place})")
    return f"Largest {label}: {_listed(said)}." if said else ""


def of_histogram(rows: pd.DataFrame, *, label: str, colour: str = "stack", column: str = "variant", **_: Any) -> str:
    """The median of every panel and colour. The keyword arguments are those of `histogram`."""
    finite = rows[np.isfinite(rows["value"])]
    said = [
        f"{name_of(column, panel)}, {name_of(colour, value)} {_number(float(part['value'].median()))}"
        for (panel, value), part in finite.groupby([column, colour], sort=False)
    ]
    return f"Median {label}: {_listed(said)}." if said else ""


def _mean(values: pd.Series, geometric: bool) -> str:
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float)
    if not np.isfinite(numbers).all():
        return "not finite"
    if not geometric:
        return _number(float(numbers.mean()))
    return _number(float(np.exp(np.log(numbers).mean()))) if (numbers > 0).all() else "0 for some seeds"


def _number(value: float) -> str:
    return formatting.number(float(f"{value:.3g}"))


def _listed(said: list[str]) -> str:
    more = f"; {len(said) - NAMED} more" if len(said) > NAMED else ""
    return "; ".join(said[:NAMED]) + more
