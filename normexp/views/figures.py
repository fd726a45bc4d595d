"""The figures of a sweep, drawn from the tables in its run folders."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from normexp.errors import ConfigError
from normexp.records.folder import ensure_writable_dir
from normexp.views import probe_figures, probe_maps, style
from normexp.views.gradient_norms import SITE_NORM, gradient_norms
from normexp.views.grid import assign_axes, colours, combinations
from normexp.views.loss_curves import TRAIN_NLL, loss_curves
from normexp.views.runs import load_runs, load_table, split_sweeps, undamaged


def draw(folder: Path | str, out: Path | str | None = None, look: str = "default") -> list[Path]:
    """Draw the loss curves of the runs in `folder` and what their probes measured; return the files.

    The files (PNG, SVG and PDF) go to `out`, by default to figures/ in the folder. If the folder contains several
    sweeps, each has its own figures. Runs without tables are left out; ConfigError if nothing is recorded yet.
    look: a style of normexp.views.style; with paper, PDFs without titles and their captions go to figures/paper.
    """
    folder = Path(folder)
    sweeps = split_sweeps(load_runs(folder))
    files = []
    for sweep, runs in sweeps.items():
        if len(sweeps) == 1:
            target = Path(out) if out else style.folder(folder / "figures", look)
        else:
            target = Path(out) / sweep.relative_to(folder) if out else style.folder(sweep / "figures", look)
        files += save(runs, target, look)
    if not files:
        raise ConfigError(f"nothing to draw in {folder}: no run has recorded a loss or a probe yet")
    return files


def save(runs: pd.DataFrame, target: Path, look: str = "default") -> list[Path]:
    """Draw the figures of the runs of one sweep to a folder; return the files, none where nothing is recorded."""
    files: list[Path] = []
    with style.context(look):
        for name, figure in _figures(runs):
            files += style.save(figure, ensure_writable_dir(target, "--out") / name)
    return files


def drawn(folder: Path) -> Iterator[tuple[Path, str, Figure]]:
    """Sweep, name and figure of all that `draw` writes."""
    for sweep, runs in split_sweeps(load_runs(folder)).items():
        yield from ((sweep, name, figure) for name, figure in _figures(runs))


def _figures(runs: pd.DataFrame) -> Iterator[tuple[str, Figure]]:
    """Yield each figure with its name; keys that do not fit into a figure give one figure per combination."""
    runs = undamaged(runs)
    if runs.empty:
        return
    axes = assign_axes(runs)
    # Line styles can distinguish the values of a second key only where they do not distinguish variants already.
    solid = all(line.line == "-" for line in colours(runs, axes.colour).values())
    dashed = axes.rest[1] if len(axes.rest) > 1 and solid and runs[axes.rest[1]].nunique() <= 4 else None
    separate = [key for key in axes.rest[1:] if key != dashed]
    curves = load_table(runs[runs["steps"] != 0], "curves", TRAIN_NLL)  # without training there is no curve
    for ending, some in combinations(runs, separate):
        rows = curves[curves["folder"].isin(some["folder"])]
        if len(rows):
            rest = [key for key in axes.rest if key not in separate]
            yield f"loss_curves{ending}", loss_curves(some, rows, axes._replace(rest=rest), dashed)
    layers = load_table(runs, "layers", SITE_NORM)
    for ending, some in combinations(runs, axes.rest):
        rows = layers[layers["folder"].isin(some["folder"])]
        if len(rows):
            yield f"gradient_norms{ending}", gradient_norms(some, rows, axes)
    for ending, some in combinations(runs, axes.rest):
        for name, figure in (*probe_figures.figures(some), *probe_maps.figures(some)):
            yield f"{name}{ending}", figure
