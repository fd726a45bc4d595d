"""The figures of a card, from its table of the start."""

from pathlib import Path

import pandas as pd

from normexp.views import style
from normexp.views.line_plot import line_plot
from normexp.views.report.parts import Picture, picture

BY_LAYER = {
    "stream_grad_norm": ("Gradient of the stream, layer by layer", "gradient norm (last layer: 1)"),
    "rank_residual": ("Distance of the tokens of a text from their mean", "rank residual"),
}
SENTENCES = {
    "stream_grad_norm": "A flat curve: every layer gets a gradient of the same size at the start.",
    "rank_residual": "A curve that falls to 0: the tokens of a text become equal.",
    "output_shift": "A flat curve: depth does not amplify a change of the weights.",
}


def draw(rows: pd.DataFrame, settings: str, folder: Path) -> list[Picture]:
    """Draw the figures of the table `start.csv`, write them to a folder, and return them for the page."""
    deepest = rows[rows["depth"] == rows["depth"].max()]
    stack = str(rows["stack"].iloc[0])
    figures = []
    with style.context():
        for statistic, (title, label) in BY_LAYER.items():
            values = _relative(deepest, statistic) if statistic == "stream_grad_norm" else _of(deepest, statistic)
            if values["value"].notna().any():
                about = f"{settings} · {stack}, depth {deepest['depth'].iloc[0]}"
                figure = line_plot(values, "layer", title=title, settings=about, label=label, log="y")
                figures.append((statistic, figure))
        shift = _of(rows, "output_shift")
        title, label = "Shift of the output by noise on the weights", "output shift"
        figure = line_plot(shift, "depth", title=title, settings=f"{settings} · {stack}", label=label, log="xy")
        figures.append(("output_shift", figure))
        for name, drawn in figures:
            style.save(drawn, folder / name)
    return [picture(folder / name, SENTENCES[name]) for name, _ in figures]


def _of(rows: pd.DataFrame, statistic: str) -> pd.DataFrame:
    return rows[rows["statistic"] == statistic]


def _relative(rows: pd.DataFrame, statistic: str) -> pd.DataFrame:
    """Values over that of the last layer, seed by seed."""
    found = _of(rows, statistic).sort_values("layer")
    last = found.groupby(["variant", "seed"])["value"].transform("last")
    return found.assign(value=found["value"] / last)
