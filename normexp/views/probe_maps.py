"""One figure per probe statistic that two layers have, such as the effect of leaving out one on the work of another."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from normexp.views import formatting
from normexp.views.grid import assign_axes, combinations
from normexp.views.heat_map import heat_map
from normexp.views.probe_figures import file_name, sentence, when
from normexp.views.probe_table import statistics_of
from normexp.views.runs import load_table, swept_keys

PAIRS = [("layer", ">", 0), ("site", "==", ""), ("parameter", "!=", "")]
LAYER = r"(\w+)\.(\d+)"  # the other layer, as the parameter of a value: decoder.05


def figures(runs: pd.DataFrame) -> Iterator[tuple[str, Figure]]:
    """Yield one figure per statistic and depth, with its name: one panel per variant, one row per stack.

    Across is the layer at which the value was measured, down the other one. Where they are in different stacks, the row
    names both.
    """
    rows = load_table(runs, "layers", PAIRS, keys=("variant", "depth"))
    rows = rows[rows["step"] == rows.groupby("folder")["step"].transform("max")]
    named = rows["parameter"].astype(str).str.extract(f"^{LAYER}$")
    rows = rows.assign(other=pd.to_numeric(named[1]), below=named[0]).dropna(subset=["other"])
    across = rows["below"] + " → " + rows["stack"].astype(str)
    rows = rows.assign(
        other=rows["other"].astype(int), stack=rows["stack"].where(rows["stack"] == rows["below"], across)
    )
    axes, meanings = assign_axes(runs), statistics_of(runs)
    separate = [axes.column] if axes.column and rows[axes.column].nunique() > 1 else []
    for statistic, some in rows.groupby("statistic", sort=False):
        for ending, part in combinations(some, separate):
            if not np.isfinite(part["value"]).any():
                continue
            yield (
                f"{file_name(str(statistic))}{ending}",
                heat_map(
                    part,
                    "layer",
                    "other",
                    column=axes.colour or "variant",
                    row="stack",
                    title=str(statistic).replace("_", " "),
                    settings=formatting.heading(runs[runs["folder"].isin(part["folder"])], swept_keys(runs)),
                    caption=f"{sentence(meanings.get(str(statistic), ''))}Measured {when(part)}.",
                    label=str(statistic),
                    x_label="layer k",
                    y_label="layer l",
                ),
            )
