"""The pages that TensorBoard shows with the runs of a sweep, drawn from the tables on disk.

Profiles: the layer is the step axis. Means: curves over the seeds. The sweep: its figures, its table, its samples.
"""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from normexp.config.identity import name_part
from normexp.records.events import Events, curve_tag
from normexp.records.samples import read_graph, read_samples
from normexp.views import style
from normexp.views.figure_files import figure_files
from normexp.views.formatting import heading
from normexp.views.grid import combinations
from normexp.views.heat_map import heat_map
from normexp.views.runs import load_table, swept_keys
from normexp.views.table import markdown

RESOLUTION = 110  # dots per inch of the images
SHOWN_SAMPLES = 3
HOW_TO_READ = """
- **Time Series**: `curves` holds the losses, `evaluation` accuracies and scores; `depth_profile_…` has the layer as its
  step axis (the runs named *profile*); `layers_…` and `parameters_…` are single sites and weights over the
  training steps.
- Runs named *mean* are means over the seeds; `spread` is the standard deviation over the seeds.
- **HParams**: one row per run, the swept keys first. **Images**: the figures. **Text**: the table, graphs, samples.
"""


def configurations(runs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The runs of each configuration over its seeds, by its name: `post_ln-depth06`."""
    keys = [key for key in swept_keys(runs) if key != "seed"]
    if not keys:
        return {"-".join(name_part(key, runs[key].iloc[0]) for key in ("variant", "depth") if key in runs): runs}
    found = {}
    for values, some in runs.groupby(keys, sort=False, dropna=False):
        named = zip(keys, values, strict=True)
        found["-".join(name_part(key, _plain(value)) for key, value in named)] = some
    return found


def write_curves(folder: Path, runs: pd.DataFrame) -> None:
    """Write the profiles, and the means where there are several seeds, as runs below `folder`."""
    layers = load_table(runs, "layers", [("parameter", "==", ""), ("layer", ">", 0)])
    curves = load_table(runs, "curves")
    for name, some in configurations(runs).items():
        values = profile(layers[layers["folder"].isin(some["folder"])])
        if values:
            events = Events(_made(folder / f"profile {name}"))
            for layer, by_tag in values.items():
                events.write(layer, by_tag)
            events.close()
        if len(some) > 1:
            events = Events(_made(folder / f"mean {name}"))
            for step, by_tag in mean(curves[curves["folder"].isin(some["folder"])]).items():
                events.write(step, by_tag)
            events.close()


def profile(layers: pd.DataFrame) -> dict[int, dict[str, float]]:
    """What a site measures at the first and the last step, by layer: {1: {"depth_profile_…": value}, …}.

    The mean over the seeds; gradient norms as log₁₀. A layer where a seed has no finite value has no point.
    """
    if layers.empty:
        return {}
    ends = layers.groupby("folder")["step"].agg(start="min", end="max")
    rows = layers.assign(value=layers["value"].astype(float))
    norms = rows["statistic"] == "grad_norm"
    with np.errstate(divide="ignore", invalid="ignore"):
        rows.loc[norms, "value"] = np.log10(rows.loc[norms, "value"])
    found: dict[int, dict[str, float]] = {}
    for when in ("start", "end") if (ends["start"] < ends["end"]).any() else ("start",):
        here = rows[rows["step"] == rows["folder"].map(ends[when])]
        keys = ["statistic", "stack", "site", "layer"]
        means = here.groupby(keys, sort=False)["value"].agg(lambda values: values.mean(skipna=False))
        for row in means[np.isfinite(means)].reset_index().to_dict("records"):
            measured = "log10_grad_norm" if row["statistic"] == "grad_norm" else row["statistic"]
            place = f"{row['stack']}.{row['site']}" if row["site"] else row["stack"]
            tag = f"depth_profile_{measured}/{when} {place}"
            found.setdefault(int(row["layer"]), {})[tag] = float(row["value"])
    return found


def mean(curves: pd.DataFrame) -> dict[int, dict[str, float]]:
    """Mean and standard deviation over the seeds of every curve, by step; none where a seed is missing or diverged."""
    seeds = curves["folder"].nunique()
    found: dict[int, dict[str, float]] = {}
    if not seeds:
        return found
    grouped = curves.groupby(["step", "statistic", "split"], sort=True)["value"]
    table = pd.DataFrame({"mean": grouped.mean(), "spread": grouped.std(ddof=1), "count": grouped.count()})
    table = table[(table["count"] == seeds) & np.isfinite(table["mean"])]
    for row in table.reset_index().to_dict("records"):
        values = found.setdefault(int(row["step"]), {})
        values[curve_tag(row["statistic"], row["split"])] = float(row["mean"])
        values[f"spread/{row['statistic']}/{row['split']}"] = float(row["spread"])
    return found


def write_page(folder: Path, sweep: Path, runs: pd.DataFrame) -> Iterator[None]:
    """Write the texts and the images of a sweep as the run `folder`: table, graphs, samples, figures, layer maps.

    Yields between parts that take time, where it may be left.
    """
    events = Events(_made(folder))
    events.text("1 how to read", HOW_TO_READ)
    events.text("2 table", markdown(runs))
    for name, some in configurations(runs).items():
        events.text(f"3 graph/{name}", _graph(Path(some["folder"].iloc[0])))
        if said := _samples(Path(some["folder"].iloc[0])):
            events.text(f"4 samples/{name}", said)
    events.flush()
    yield
    for path in figure_files(sweep, runs, folder / "figures"):
        with Image.open(path) as image:
            events.image(f"figures/{path.stem}", path.read_bytes(), image.size)
    events.flush()
    yield
    for name, figure in layer_maps(runs):
        buffer = io.BytesIO()
        with style.context():
            figure.savefig(buffer, format="png", dpi=RESOLUTION)
        with Image.open(buffer) as image:
            events.image(f"gradient norm by layer and step/{name}", buffer.getvalue(), image.size)
        events.flush()
        yield
    events.close()


def layer_maps(runs: pd.DataFrame) -> Iterator[tuple[str, Figure]]:
    """Yield the gradient norm of every layer at every step, one figure per combination of keys, with its name."""
    norms = [("statistic", "==", "grad_norm"), ("site", "==", "feed_forward"), ("parameter", "==", "")]
    rows = load_table(runs, "layers", norms)
    swept = swept_keys(runs)
    for ending, some in combinations(runs, [key for key in swept if key not in ("variant", "seed")]):
        here = rows[rows["folder"].isin(some["folder"])]
        if here["step"].nunique() < 2:
            continue
        with style.context():
            yield (
                ending.strip("-") or "all runs",
                heat_map(
                    here if "variant" in here else here.assign(variant=some["variant"].iloc[0]),
                    "step",
                    "layer",
                    row="stack",
                    title="Gradient norm by layer and step",
                    settings=heading(some, swept),
                    caption="Norm of the gradient of all parameters of a feed-forward sub-layer, before clipping.",
                    label="gradient norm",
                    log=True,
                ),
            )


def _graph(run: Path) -> str:
    """The graph that the run kept, as a code block."""
    graph = read_graph(run)
    return f"```\n{graph}\n```" if graph else "this run kept no graph"


def _samples(run: Path) -> str:
    rows = "".join(
        f"| {' | '.join(text.replace('|', '¦').replace(chr(10), ' ') for text in (s.given, s.expected, s.written))} |\n"
        for s in read_samples(run)[:SHOWN_SAMPLES]
    )
    return f"| given | expected | written |\n|---|---|---|\n{rows}" if rows else ""


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _plain(value: object) -> object:
    """A number of numpy as one of Python: names count its digits."""
    return value.item() if isinstance(value, np.generic) else value
