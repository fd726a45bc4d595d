"""What probes read: a table of the first and the last layer, and a figure per statistic, layer by layer."""

import re
from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from rich.console import Group, RenderableType
from rich.table import Table

from normexp.views import words
from normexp.views.grid import roles
from normexp.views.runs import load_table, swept_keys
from normexp.views.table import probe_cost
from normexp.views.xy import xy

KINDS = ("feed_forward", "attention", "cross_attention")  # which site of a layer stands for it, the first that is there
SPAN = 30  # largest over smallest value from which an axis is logarithmic
SEPARATE = ("grad_norm", "dependency_map")  # drawn elsewhere: by gradient_norms, as a heat map


def readings(runs: pd.DataFrame) -> pd.DataFrame:
    """What stands for a layer or a whole stack at the last measured step of every run, with the swept keys joined."""
    rows = load_table(runs, "layers", [("parameter", "==", "")])
    rows = rows[rows["step"] == rows.groupby("folder")["step"].transform("max")]
    if not len(rows):
        return rows
    rank = rows["site"].map({kind: place for place, kind in enumerate(KINDS)}).fillna(len(KINDS))
    best = rank.groupby([rows["folder"], rows["statistic"], rows["stack"], rows["layer"]]).transform("min")
    return rows[rank == best]


def table(runs: pd.DataFrame) -> RenderableType:
    """One table per statistic: a row per cell, mean over the seeds at the first and the last layer of every stack."""
    rows, keys = readings(runs), [key for key in swept_keys(runs) if key != "seed"]
    tables = [_one(str(name), part, keys) for name, part in rows.groupby("statistic", sort=False)]
    return Group(*tables, probe_cost(runs))


def _one(statistic: str, rows: pd.DataFrame, keys: list[str]) -> Table:
    out = Table(title=statistic, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    stacks = list(dict.fromkeys(rows["stack"]))
    by_layer = bool((rows["layer"] > 0).any())
    for key in keys:
        out.add_column(key)
    for stack in stacks:
        for place in ("first layer", "last layer") if by_layer else ("",):
            out.add_column(f"{stack} {place}".strip(), justify="right")
    groups = rows.groupby(keys, sort=False, dropna=False) if keys else [((), rows)]
    for values, cell in groups:
        texts = [words.number(value) for value in values]
        for stack in stacks:
            layers = cell[(cell["stack"] == stack) & ((cell["layer"] > 0) if by_layer else True)]
            for end in (layers["layer"].min(), layers["layer"].max()) if by_layer else (0,):
                values_there = layers.loc[layers["layer"] == end, "value"]
                texts.append(f"{values_there.mean():.4g}" if len(values_there) else "–")
        out.add_row(*texts)
    return out


def figures(runs: pd.DataFrame) -> Iterator[tuple[str, Figure]]:
    """Yield a figure per statistic that has layers: stacks below each other, depths beside each other."""
    rows = readings(runs)
    part = roles(runs)
    for statistic, some in rows[rows["layer"] > 0].groupby("statistic", sort=False):
        if statistic in SEPARATE or not np.isfinite(some["value"]).any():
            continue
        finite = some.loc[np.isfinite(some["value"]), "value"]
        wide = bool((finite > 0).all() and finite.max() > SPAN * finite.min())
        sites = "/".join(kind.replace("_", "-") for kind in dict.fromkeys(some["site"]))
        steps = sorted(some["step"].unique())
        when = "at initialisation" if steps == [1] else f"at step {words.number(steps[-1])}"
        yield (
            f"probe_{re.sub('[^A-Za-z0-9]+', '_', str(statistic))}",
            xy(
                some,
                "layer",
                colour=part.colour or "variant",
                column=part.column if part.column and some[part.column].nunique() > 1 else None,
                row="stack",
                title=str(statistic).replace("_", " "),
                settings=words.heading(runs, swept_keys(runs)),
                caption=f"Behind the {sites} of every layer, {when}. Lines: {'geometric ' * wide}mean over the seeds. "
                "Bands: smallest to largest seed.",
                label=str(statistic),
                log="y" if wide else "",
            ),
        )
