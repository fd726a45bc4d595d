"""One figure per probe statistic, layer by layer."""

import re
from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from normexp.views import formatting
from normexp.views.grid import assign_axes
from normexp.views.line_plot import line_plot
from normexp.views.probe_table import layer_values, statistics_of
from normexp.views.runs import swept_keys

SPAN = 30  # an axis is logarithmic if largest / smallest value exceeds this


def figures(runs: pd.DataFrame) -> Iterator[tuple[str, Figure]]:
    """Yield one figure per statistic with layers: one row per stack, one column per depth.

    The gradient norm has its own figure, see gradient_norms. Captions say what the statistic measures.
    """
    rows, meanings = layer_values(runs), statistics_of(runs)
    axes = assign_axes(runs)
    for statistic, some in rows[rows["layer"] > 0].groupby("statistic", sort=False):
        if statistic == "grad_norm" or not np.isfinite(some["value"]).any():
            continue
        finite = some.loc[np.isfinite(some["value"]), "value"]
        wide = bool((finite > 0).all() and finite.max() > SPAN * finite.min())
        sites = "/".join(kind.replace("_", "-") for kind in dict.fromkeys(some["site"]))
        where = f"At the {sites} of every layer" if sites else "At every layer"
        yield (
            file_name(str(statistic)),
            line_plot(
                some,
                "layer",
                colour=axes.colour or "variant",
                column=axes.column if axes.column and some[axes.column].nunique() > 1 else None,
                row="stack",
                title=str(statistic).replace("_", " "),
                settings=formatting.heading(runs, swept_keys(runs)),
                caption=f"{sentence(meanings.get(str(statistic), ''))}{where}, {when(some)}.",
                label=str(statistic),
                log="y" if wide else "",
            ),
        )


def file_name(statistic: str) -> str:
    return f"probe_{re.sub('[^A-Za-z0-9]+', '_', statistic)}"


def sentence(meaning: str) -> str:
    """What a statistic means, as the first sentence of a caption."""
    return f"{meaning[0].upper()}{meaning[1:]}. " if meaning else ""


def when(rows: pd.DataFrame) -> str:
    """When the rows were measured; of runs that ended at different steps, the first and the last of these."""
    steps = sorted(rows["step"].unique())
    if steps == [1]:
        return "at initialisation"
    first, last = (formatting.number(step) for step in (steps[0], steps[-1]))
    return f"at step {last}" if first == last else f"at the last step of each run that has values ({first} to {last})"
