"""What probes read, as a figure per statistic, layer by layer."""

import re
from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from normexp.views import formatting
from normexp.views.grid import roles
from normexp.views.line_plot import line_plot
from normexp.views.probe_table import readings
from normexp.views.runs import swept_keys

SPAN = 30  # largest over smallest value from which an axis is logarithmic


def figures(runs: pd.DataFrame) -> Iterator[tuple[str, Figure]]:
    """Yield a figure per statistic that has layers: stacks below each other, depths beside each other.

    The gradient norm has a figure of its own, see gradient_norms.
    """
    rows = readings(runs)
    part = roles(runs)
    for statistic, some in rows[rows["layer"] > 0].groupby("statistic", sort=False):
        if statistic == "grad_norm" or not np.isfinite(some["value"]).any():
            continue
        finite = some.loc[np.isfinite(some["value"]), "value"]
        wide = bool((finite > 0).all() and finite.max() > SPAN * finite.min())
        sites = "/".join(kind.replace("_", "-") for kind in dict.fromkeys(some["site"]))
        steps = sorted(some["step"].unique())
        when = "at initialisation" if steps == [1] else f"at step {formatting.number(steps[-1])}"
        yield (
            f"probe_{re.sub('[^A-Za-z0-9]+', '_', str(statistic))}",
            line_plot(
                some,
                "layer",
                colour=part.colour or "variant",
                column=part.column if part.column and some[part.column].nunique() > 1 else None,
                row="stack",
                title=str(statistic).replace("_", " "),
                settings=formatting.heading(runs, swept_keys(runs)),
                caption=f"Behind the {sites} of every layer, {when}. Lines: {'geometric ' * wide}mean over the seeds. "
                "Bands: smallest to largest seed.",
                label=str(statistic),
                log="y" if wide else "",
            ),
        )
