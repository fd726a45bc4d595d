"""What several studies read off the tables in the same way, and say below their figures in the same words."""

import pandas as pd

from normexp.studies.study import Runs

MEANS = "Lines: mean over the seeds. Bands: smallest to largest seed."
GEOMETRIC = "Lines: geometric mean over the seeds. Bands: smallest to largest seed."
LOSS = f"Mean over 10 steps of the training loss. {MEANS}"


def fc2_gradients(runs: Runs) -> pd.DataFrame:
    """The gradient norm of fc2 of every layer of every run."""
    return runs.layers("grad_norm", site="feed_forward", parameter="fc2.weight")


def last_fc2_gradient(runs: Runs) -> pd.DataFrame:
    """That of the last decoder layer."""
    rows = fc2_gradients(runs)
    return rows[(rows["stack"] == "decoder") & (rows["layer"] == rows["depth"])]


def loss_curves(runs: Runs, window: int = 10) -> pd.DataFrame:
    """Training loss, the mean of every `window` steps at the last of them."""
    curves = runs.curves("nll", split="train")
    step = (-(-curves["step"] // window) * window).rename("step")
    keys = [key for key in curves.columns if key not in ("step", "value")]
    return curves.groupby([*keys, step], sort=False, dropna=False)["value"].mean().reset_index()
