"""What differs between two runs or sweeps: in configuration, in the graph, in the curves, and where in depth."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from normexp.errors import ConfigError
from normexp.records.folder import ensure_writable_dir
from normexp.records.samples import read_graph
from normexp.views import formatting, style
from normexp.views.levels import different_data
from normexp.views.line_plot import line_plot
from normexp.views.loss_curves import TRAIN_NLL
from normexp.views.runs import HOUSEKEEPING, STATUS, load_runs, load_table, swept_keys, undamaged

PART = 0.1  # losses have parted where they differ by more than this share of the larger one, to the end
WINDOW = 50  # a running mean over steps / WINDOW
SITES = [("statistic", "==", "grad_norm"), ("parameter", "==", ""), ("layer", ">", 0)]
PREFIX = "compare_"  # of the files of figures
POOLED = "Mean over all runs of each side, which differ in more than their seeds."
NOT_CONFIG = (*STATUS, "folder", "heartbeat", "pid", "host", "measured", "format", "record")


@dataclass(frozen=True)
class Side:
    """One of the two: its name, its runs, and the training losses and gradient norms that they recorded."""

    name: str
    runs: pd.DataFrame
    losses: pd.DataFrame
    norms: pd.DataFrame


def side(folder: Path, name: str) -> Side:
    """Read one side, without damaged runs. Raises ConfigError where no run is left."""
    runs = undamaged(load_runs(folder))
    if runs.empty:
        raise ConfigError(f"every run in {folder} is damaged; normexp results --repair may help")
    return Side(name, runs, load_table(runs, "curves", TRAIN_NLL), load_table(runs, "layers", SITES))


def sides(a: Path, b: Path) -> tuple[Side, Side]:
    """Both sides, with names that differ."""
    if a.resolve() == b.resolve():
        raise ConfigError(f"compare needs two different folders; got {a} twice")
    names = a.resolve().name, b.resolve().name
    if names[0] == names[1]:
        names = str(a), str(b)
    return side(a, names[0]), side(b, names[1])


def compare(a: Side, b: Side) -> str:
    """The comparison as text."""
    sections = {
        "Configuration": list(configuration(a, b)) or ["the same"],
        "Graph": list(graphs(a, b)) or ["the same"],
        "Training loss": list(curves(a, b)),
        "Gradient norm by layer": list(depths(a, b)),
    }
    return "\n\n".join(
        "\n".join([title, *(f"  {line}" for line in lines)]) for title, lines in sections.items() if lines
    )


def configuration(a: Side, b: Side) -> Iterator[str]:
    """Every key whose values are not the same in both."""
    for key in dict.fromkeys([*map(str, a.runs.columns), *map(str, b.runs.columns)]):
        if key.split(".")[0] in (*HOUSEKEEPING, *NOT_CONFIG) or key.startswith(("baseline.", "config.")):
            continue
        if any(part.startswith("_") for part in key.split(".")):
            continue
        ours, theirs = (", ".join(_values(each.runs, key)) or "not set" for each in (a, b))
        if ours != theirs:
            yield f"{key}: {ours} | {theirs}"


def graphs(a: Side, b: Side) -> Iterator[str]:
    """The lines by which the graphs of the deepest runs differ: - only in the first, + only in the second."""
    ours, theirs = (_graph(each.runs) for each in (a, b))
    if not (ours and theirs):
        yield "not kept by these runs"
        return
    for line in difflib.unified_diff(ours, theirs, n=0, lineterm=""):
        if not line.startswith(("---", "+++", "@@")):
            yield f"{line[0]} {line[1:]}"


def curves(a: Side, b: Side) -> Iterator[str]:
    """The final losses, and the step from which the losses differ."""
    for each in (a, b):
        finals = pd.to_numeric(each.runs["final_loss"], errors="coerce")
        outcomes = each.runs["outcome"].dropna().value_counts()
        counted = (f"{count} {name}" if len(each.runs) > 1 else str(name) for name, count in outcomes.items())
        said = ", ".join(counted) or ("not finished" if each.runs["steps"].any() else "not trained")
        if np.isfinite(finals).all() and len(finals):
            spread = f" ± {finals.std(ddof=1):.3f}" if len(finals) > 1 else ""
            said += f"; final loss {finals.mean():.3f}{spread} {formatting.unit(each.runs)}"
        yield f"{each.name}: {said}"
    if formatting.unit(a.runs) != formatting.unit(b.runs):
        yield "the losses have different units, so they cannot be compared"
        return
    yield from different_data(pd.concat([a.runs, b.runs]))
    if _several(a.runs) or _several(b.runs):
        yield "what follows compares means over all runs of each side, which differ in more than their seeds"
    if a.losses.empty or b.losses.empty or not (a.runs["steps"].any() and b.runs["steps"].any()):
        return  # of untrained models there is one loss
    means = means_of(a.losses, b.losses)
    if means.empty:
        yield "there is no step at which every run of both sides has a loss"
        return
    last, longest = int(means.index[-1]), int(max(a.losses["step"].max(), b.losses["step"].max()))
    end = "to the end" if last == longest else f"up to step {last}, the last at which every run has a loss"
    step = parting(means)
    if step is None:
        yield f"at no step do the losses begin to differ by more than {PART:.0%} and stay apart {end}"
    else:
        yield f"from step {step} {end}, the losses differ by more than {PART:.0%} of the larger one"


def parting(means: pd.DataFrame) -> int | None:
    """The first step from which two mean losses differ to the end; None if they do not or nothing is common.

    means: as `means_of` returns.
    """
    if means.empty:
        return None
    smooth = means.rolling(max(1, len(means) // WINDOW), min_periods=1).mean()
    apart = (smooth["a"] - smooth["b"]).abs() > PART * smooth.max(axis=1)
    together = apart.index[~apart]
    if not len(together):
        return int(apart.index[0])
    later = apart.index[apart.index > together[-1]]
    return int(later[0]) if len(later) else None


def depths(a: Side, b: Side) -> Iterator[str]:
    """The site whose gradient norms differ by the largest factor, at the first and at the last step."""
    for when in ("min", "max"):
        found = _largest(_at(a.norms, when), _at(b.norms, when))
        if found is None:
            continue
        (stack, layer, site), ours, theirs = found
        factor = max(ours, theirs) / min(ours, theirs)
        name = "at the first step" if when == "min" else "at the last step"
        values = f"{ours:.3g} | {theirs:.3g} (factor {factor:.3g})"
        yield f"{name}: most different at {stack} layer {layer}, {site.replace('_', '-')}: {values}"


def draw(a: Side, b: Side, out: Path) -> list[Path]:
    """Draw both losses over the steps and both gradient norms over the layers; return the files."""
    ensure_writable_dir(out, "--out")
    files: list[Path] = []
    with style.context():
        for name, figure in _figures(a, b):
            files += style.save(figure, out / name)
    return files


def _figures(a: Side, b: Side) -> Iterator[tuple[str, Figure]]:
    settings = f"{a.name} · {b.name}"
    losses = pd.concat([each.losses.assign(variant=each.name) for each in (a, b)])
    pooled = POOLED if any(_several(each.runs) for each in (a, b)) else ""
    common: dict[str, Any] = {"settings": settings}  # the names of the two sides are drawn as variants are
    if len(losses) and formatting.unit(a.runs) == formatting.unit(b.runs):
        label = f"loss ({formatting.unit(pd.concat([a.runs, b.runs]))})"
        rows = losses.assign(seed=losses["folder"])
        if pooled:
            means = (_mean(each.losses).rename("value").reset_index().assign(variant=each.name) for each in (a, b))
            rows = pd.concat(means).assign(seed=0)
        yield f"{PREFIX}loss", line_plot(rows, "step", title="Training loss", label=label, caption=pooled, **common)
    norms = pd.concat([_rows_at(each.norms, "min").assign(variant=each.name) for each in (a, b)])
    norms = norms[norms["site"].isin(["feed_forward"])]
    if len(norms):
        rows = _pooled(norms, ["stack", "layer"]) if pooled else norms.assign(seed=norms["folder"])
        caption = f"Feed-forward sub-layers, at the first measured step. {pooled}".strip()
        yield (
            f"{PREFIX}gradient_norms",
            line_plot(rows, "layer", title="Gradient norm by layer", label="gradient norm", row="stack", log="y",
                      caption=caption, **common),
        )  # fmt: skip


def _several(runs: pd.DataFrame) -> bool:
    """Whether the runs differ in more than their seeds."""
    return any(key != "seed" and runs[key].nunique(dropna=False) > 1 for key in swept_keys(runs))


def _pooled(rows: pd.DataFrame, places: list[str]) -> pd.DataFrame:
    """The mean over all runs of a side at every place."""
    return rows.groupby(["variant", *places], sort=False)["value"].mean().reset_index().assign(seed=0)


def _values(runs: pd.DataFrame, key: str) -> list[str]:
    return [formatting.number(value) for value in runs[key].drop_duplicates()] if key in runs else []


def _graph(runs: pd.DataFrame) -> list[str]:
    """The lines of the deepest run's graph, each with its place."""
    deepest = max(runs.to_dict("records"), key=lambda run: run["depth"])
    lines, place = [], ""
    for line in read_graph(Path(deepest["folder"])).splitlines():
        if line.startswith(" "):
            lines.append(f"{place}: {line.strip()}")
        else:
            place = line
    return lines


def means_of(ours: pd.DataFrame, theirs: pd.DataFrame) -> pd.DataFrame:
    """Both mean losses, a and b, by step, at the steps that both have."""
    return pd.DataFrame({"a": _mean(ours), "b": _mean(theirs)}).dropna()


def _mean(losses: pd.DataFrame) -> pd.Series:
    """The mean at every step at which each run has a finite loss; a run that diverged has none from then on."""
    finite = losses["value"].astype(float).replace([np.inf, -np.inf], np.nan)
    by_run = finite.groupby([losses["step"], losses["folder"]]).mean().unstack()
    return by_run.dropna().mean(axis=1)


def _rows_at(norms: pd.DataFrame, when: str) -> pd.DataFrame:
    steps = norms.groupby("folder")["step"].agg(when)
    return norms[norms["step"] == norms["folder"].map(steps)]


def _at(norms: pd.DataFrame, when: str) -> pd.Series:
    """The geometric mean over the runs at every site; sites with a norm that has no logarithm are left out."""
    rows = _rows_at(norms, when)
    values = rows["value"].astype(float)
    logs = values.where(values > 0).map(np.log)
    means = logs.groupby([rows["stack"], rows["layer"], rows["site"]]).agg(lambda each: each.mean(skipna=False))
    return means[np.isfinite(means)].map(np.exp)


def _largest(ours: pd.Series, theirs: pd.Series) -> tuple[Any, float, float] | None:
    both = pd.DataFrame({"a": ours, "b": theirs}).dropna()
    if both.empty:
        return None
    place = (np.log(both["a"]) - np.log(both["b"])).abs().idxmax()
    return place, float(both.loc[place, "a"]), float(both.loc[place, "b"])
