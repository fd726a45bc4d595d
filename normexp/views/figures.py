"""The figures of a sweep, drawn from the tables in its run folders and from nothing else."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from normexp.errors import ConfigError
from normexp.records.folder import ensure_writable_dir
from normexp.views import probe_figures, style
from normexp.views.gradient_norms import SITE_NORM, gradient_norms
from normexp.views.grid import colours, combinations, roles
from normexp.views.loss_curves import TRAIN_NLL, loss_curves
from normexp.views.runs import load_runs, load_table, split_sweeps


def draw(folder: Path | str, out: Path | str | None = None) -> list[Path]:
    """Draw the loss curves of the runs in `folder` and what probes read, layer by layer; return the files, PNG and SVG.

    They go to `out`, by default to figures/ in the folder. Where the folder holds several sweeps, each is
    drawn by itself. What is not recorded yet is left out; ConfigError if nothing is.
    """
    folder = Path(folder)
    sweeps = split_sweeps(load_runs(folder))
    files = []
    for sweep, runs in sweeps.items():
        if len(sweeps) == 1:
            place = Path(out) if out else folder / "figures"
        else:
            place = Path(out) / sweep.name if out else sweep / "figures"
        with style.context():
            for name, figure in _figures(runs):
                files += style.save(figure, ensure_writable_dir(place, "--out") / name)
    if not files:
        raise ConfigError(f"nothing to draw in {folder}: no run has recorded a loss or a reading of its layers yet")
    return files


def _figures(runs: pd.DataFrame) -> Iterator[tuple[str, Figure]]:
    """Yield each figure and its name; keys for which it has no room make one figure per combination."""
    part = roles(runs)
    # Line styles can tell a second key's values apart only if they do not tell variants apart already.
    plain = all(look.line == "-" for look in colours(runs, part.colour).values())
    dashed = part.rest[1] if len(part.rest) > 1 and plain and runs[part.rest[1]].nunique() <= 4 else None
    apart = [key for key in part.rest[1:] if key != dashed]
    curves = load_table(runs[runs["steps"] != 0], "curves", TRAIN_NLL)  # without training there is one loss, no curve
    for ending, some in combinations(runs, apart):
        seen = curves[curves["folder"].isin(some["folder"])]
        if len(seen):
            rest = [key for key in part.rest if key not in apart]
            yield f"loss_curves{ending}", loss_curves(some, seen, part._replace(rest=rest), dashed)
    layers = load_table(runs, "layers", SITE_NORM)
    for ending, some in combinations(runs, part.rest):
        seen = layers[layers["folder"].isin(some["folder"])]
        if len(seen):
            yield f"gradient_norms{ending}", gradient_norms(some, seen, part)
    for ending, some in combinations(runs, part.rest):
        for name, figure in probe_figures.figures(some):
            yield f"{name}{ending}", figure
