"""What probes read, as tables of the first and the last layer, and what looking cost."""

from collections.abc import Iterator
from typing import NamedTuple

import pandas as pd

from normexp.views import formatting
from normexp.views.runs import load_table, swept_keys

KINDS = ("feed_forward", "attention", "cross_attention")  # which site of a layer stands for it, the first that is there


class ProbeTable(NamedTuple):
    """One statistic: a row per cell, what was swept and then the means over the seeds, as written."""

    statistic: str
    columns: list[str]
    keys: int  # so many of the columns name the cell
    rows: list[list[str]]


def readings(runs: pd.DataFrame) -> pd.DataFrame:
    """What stands for a layer or a whole stack at the last measured step of every run, with the swept keys, variant and
    depth joined."""
    rows = load_table(runs, "layers", [("parameter", "==", "")], keys=("variant", "depth"))
    rows = rows[rows["step"] == rows.groupby("folder")["step"].transform("max")]
    if not len(rows):
        return rows
    rank = rows["site"].map({kind: place for place, kind in enumerate(KINDS)}).fillna(len(KINDS))
    best = rank.groupby([rows["folder"], rows["statistic"], rows["stack"], rows["layer"]]).transform("min")
    return rows[rank == best]


def tables(runs: pd.DataFrame) -> Iterator[ProbeTable]:
    """One table per statistic: at the first and the last layer of every stack, or for the whole stack."""
    keys = [key for key in swept_keys(runs) if key != "seed"]
    for statistic, rows in readings(runs).groupby("statistic", sort=False):
        in_layers = rows[rows["layer"] > 0]
        rows = in_layers if len(in_layers) else rows
        stacks = sorted(rows["stack"].unique(), reverse=True)  # the encoder first, as the forward has it
        ends = ("first layer", "last layer") if len(in_layers) else ("",)
        columns = [*keys, *(f"{stack} {end}".strip() for stack in stacks for end in ends)]
        groups = rows.groupby(keys, sort=False, dropna=False) if keys else [((), rows)]
        cells = []
        for values, cell in groups:
            by_stack = [cell[cell["stack"] == stack] for stack in stacks]
            cells.append([*map(formatting.number, values), *(_mean(some, end) for some in by_stack for end in ends)])
        yield ProbeTable(str(statistic), columns, len(keys), cells)


def _mean(rows: pd.DataFrame, end: str) -> str:
    """The mean at the first or at the last layer that has a value."""
    layer = rows["layer"].max() if end == "last layer" else rows["layer"].min()
    values = rows.loc[rows["layer"] == layer, "value"]
    return f"{values.mean():.4g}" if len(values) else "–"


def probe_cost(frame: pd.DataFrame) -> str:
    """Say what the probes of these runs cost; empty where none of them had to wait for an answer."""
    timing = load_table(frame, "timing")
    looks = timing[timing["statistic"].astype(str).str.startswith("probe.")]
    if not len(looks):
        return ""
    total = timing[timing["statistic"] == "seconds"].groupby("folder")["value"].max().sum()
    means = looks.groupby(looks["statistic"].str.removeprefix("probe."), sort=False)["value"].mean()
    each = ", ".join(f"{name} {seconds:.2g} s" for name, seconds in means.sort_values(ascending=False).items())
    return f"probes: {looks['value'].sum() / total:.0%} of the time; one look by {each}"
