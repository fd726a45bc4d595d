"""The few numbers that claims are made of: exponents, rates, fits, one value per seed."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike


def line(x: ArrayLike, y: ArrayLike) -> tuple[float, float]:
    """Least-squares slope of y over x, and R² of that line; NaN for fewer than two points or any that is not finite."""
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if len(x) < 2 or not (np.isfinite(x).all() and np.isfinite(y).all()) or np.ptp(x) == 0:
        return float("nan"), float("nan")
    slope, intercept = np.polyfit(x, y, 1)
    left, total = np.square(y - slope * x - intercept).sum(), np.square(y - y.mean()).sum()
    return float(slope), float(1 - left / total) if total else 1.0


def _log(values: ArrayLike) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(np.asarray(values, dtype=float))


def exponent(x: ArrayLike, y: ArrayLike) -> float:
    """p of y ∝ x^p: the slope of log y over log x."""
    return line(_log(x), _log(y))[0]


def rate(x: ArrayLike, y: ArrayLike) -> float:
    """r of y ∝ e^(r x): the slope of log y over x."""
    return line(x, _log(y))[0]


def r_squared(x: ArrayLike, y: ArrayLike) -> float:
    """R² of a straight line through y over x."""
    return line(x, y)[1]


def ratio(y: ArrayLike) -> float:
    """Largest over smallest."""
    y = np.asarray(y, dtype=float)
    return float(y.max() / y.min()) if len(y) and y.min() > 0 else float("nan")


def per_seed(rows: pd.DataFrame, statistic: Callable[[pd.DataFrame], float]) -> list[float]:
    """The statistic of each seed's rows, in the order of the seeds; none where there are no rows."""
    return [float(statistic(part)) for _, part in rows.groupby("seed", sort=True)]
