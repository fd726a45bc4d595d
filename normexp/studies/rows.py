"""Rows that several studies read from the tables in the same way, and the captions that explain them."""

from typing import Any

import numpy as np
import pandas as pd

from normexp.studies.study import Runs, Study
from normexp.views.grid import where
from normexp.views.levels import floors, on_axis, scale_of
from normexp.views.line_plot import Curve

Scaled = tuple[pd.DataFrame, dict[str, Any]]  # rows, and the options with which line_plot draws them
NATS = "nats per token"
REDUCIBLE = "as a share of source-blind loss − floor"
# Options of the figures that draw `loss_curves`, and of the one that Xiong et al. and Takase et al. have of fc2.
LOSS_BY_STEP: dict[str, Any] = {"x": "step", "label": NATS, "caption": "Mean over 10 steps of the training loss."}
FC2_BY_LAYER: dict[str, Any] = {
    **{"x": "layer", "column": "depth", "row": "stack", "label": "gradient norm", "log": "y"},
    "caption": "Frobenius norm of the loss gradient of fc2 in every layer, at initialisation.",
}


def after_training(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the last step."""
    return rows[rows["step"] == rows["steps"]]


def fc2_gradients(runs: Runs, **keys: object) -> pd.DataFrame:
    """The gradient norm of fc2 in every layer of every run with these values."""
    return where(runs.layers("grad_norm", site="feed_forward", parameter="fc2.weight"), **keys)


def last_fc2_gradient(runs: Runs, **keys: object) -> pd.DataFrame:
    """The gradient norm of fc2 in the last decoder layer."""
    rows = fc2_gradients(runs, stack="decoder", **keys)
    return rows[rows["layer"] == rows["depth"]]


def stream_gradients(runs: Runs, stack: str, **keys: object) -> pd.DataFrame:
    """The gradient norm of the stream after every layer of a stack."""
    return where(runs.layers("stream_grad_norm", stack=stack, site="feed_forward"), **keys)


def deep_runs(study: Study, extra: str) -> list[Runs]:
    """The runs of 18 layers: the part `deep`, and of the quick size that of one more variant."""
    return [study.runs[name] for name in ("deep", extra) if name in study.runs]


def loss_curves(runs: Runs, window: int = 10) -> pd.DataFrame:
    """Training loss, the mean of every `window` steps at the last of them."""
    curves = runs.curves("nll", split="train")
    step = (-(-curves["step"] // window) * window).rename("step")
    keys = [key for key in curves.columns if key not in ("step", "value")]
    return curves.groupby([*keys, step], sort=False, dropna=False)["value"].mean().reset_index()


def power_law(rows: pd.DataFrame, x: str, exponent: float) -> Curve:
    """A curve ∝ x^exponent from the geometric mean of these rows at their smallest x, as a guide to the eye."""
    first = rows[x].min()
    start = float(np.exp(np.log(where(rows, **{x: first})["value"]).mean()))
    return lambda places: start * (places / first) ** exponent


def logarithm(rows: pd.DataFrame, x: str) -> Curve:
    """A curve ∝ log x from the geometric mean of these rows at their smallest x, which is above 1."""
    first = rows[x].min()
    start = float(np.exp(np.log(where(rows, **{x: first})["value"]).mean()))
    return lambda places: start * np.log(places) / np.log(first)


def drawn_losses(*parts: Runs) -> Scaled:
    """The training loss of these runs for a figure: as regret, logarithmically, where one of them reaches the floor."""
    frame = pd.concat([runs.frame for runs in parts], ignore_index=True)
    return drawn_regret(pd.concat([loss_curves(runs) for runs in parts]), frame, LOSS_BY_STEP["caption"])


def drawn_finals(frame: pd.DataFrame, caption: str, log: str = "") -> Scaled:
    """The final loss of these runs for a figure, likewise. log: the axis to draw logarithmically in any case."""
    return drawn_regret(frame.assign(value=frame["final_loss"].astype(float)), frame, caption, log)


def drawn_regret(rows: pd.DataFrame, frame: pd.DataFrame, caption: str, log: str = "") -> Scaled:
    """Losses of these runs for a figure, likewise, with the baselines that they share as levels."""
    scale = scale_of(frame)
    options: dict[str, Any] = {"label": scale.label, "log": log, "levels": on_axis(frame, scale), "caption": caption}
    if scale.regret:
        floor = dict(zip(frame["folder"], floors(frame), strict=True))
        rows = rows.assign(value=rows["value"] - rows["folder"].map(floor))
        options |= {"log": "xy" if "x" in log else "y", "caption": f"{caption} {scale.note}"}
    return rows, options
