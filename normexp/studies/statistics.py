"""The few numbers that claims are made of: exponents, rates, fits, one value per seed."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from normexp.errors import ConfigError
from normexp.records.outcome import HAS_LEARNED
from normexp.studies.verdict import LOSS_MARGIN
from normexp.views.grid import where


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


def exponential_r_squared(x: ArrayLike, y: ArrayLike) -> float:
    """R² of a straight line through log y over x."""
    return line(x, _log(y))[1]


def linear_over_exponential(x: ArrayLike, y: ArrayLike) -> float:
    """How much better a straight line fits than an exponential: R² of the one − R² of the other."""
    return r_squared(x, y) - exponential_r_squared(x, y)


def ratio(y: ArrayLike) -> float:
    """Largest over smallest."""
    y = np.asarray(y, dtype=float)
    return float(y.max() / y.min()) if len(y) and y.min() > 0 else float("nan")


def per_seed(rows: pd.DataFrame, statistic: Callable[[pd.DataFrame], float]) -> list[float]:
    """The statistic of each seed's rows, in the order of the seeds; none where there are no rows."""
    with np.errstate(divide="ignore", invalid="ignore"):  # of runs that diverged: infinite or NaN says so
        return [float(statistic(part)) for _, part in rows.groupby("seed", sort=True)]


def fits(rows: pd.DataFrame, fit: Callable[[pd.Series, pd.Series], float], x: str) -> list[float]:
    """The fit (exponent, rate or r_squared) of each seed's values over the column x."""
    return per_seed(rows, lambda seed: fit(seed[x], seed["value"]))


def differences(one: Sequence[float], other: Sequence[float]) -> list[float]:
    """one − other, seed by seed."""
    return [a - b for a, b in zip(one, other, strict=True)]


def finals(frame: pd.DataFrame, **keys: Any) -> pd.Series:
    """Final loss by seed of the runs with these values; infinite where a run diverged to what is not a number."""
    return _by_seed(where(frame, **keys), "final_loss")


def valid_loss(frame: pd.DataFrame, **keys: Any) -> pd.Series:
    """The same of the validation loss at the end."""
    return _by_seed(where(frame, **keys), "valid_loss")


def best_valid_lr(frame: pd.DataFrame) -> float:
    """The rate with the lowest mean validation loss of all seeds; a run without one counts as infinite."""
    losses = frame["valid_loss"].astype(float).fillna(float("inf")).groupby(frame["lr"]).mean()
    return float(losses.index.to_numpy(float)[losses.to_numpy().argmin()])


def _by_seed(rows: pd.DataFrame, name: str) -> pd.Series:
    rows = rows.sort_values("seed")
    loss = rows[name].astype(float)
    loss = loss.where(~((rows["outcome"] == "diverged") & loss.isna()), np.inf)
    return pd.Series(loss.to_numpy(), index=rows["seed"].to_numpy())


def trained(frame: pd.DataFrame, **keys: Any) -> list[float]:
    """1 for every seed whose outcome is trained, 0 for the others."""
    return outcome_in(("trained",), where(frame, **keys))


def outcome_in(outcomes: Collection[str], frame: pd.DataFrame) -> list[float]:
    """1 for every seed whose outcome is one of these, 0 for the others."""
    return [float(outcome in outcomes) for outcome in frame.sort_values("seed")["outcome"]]


def paired(one: pd.Series, other: pd.Series) -> list[float]:
    """one − other, seed by seed; infinite where one diverged alone, NaN where both did or a seed is missing."""
    with np.errstate(invalid="ignore"):
        return [float(value) for value in one - other]


def loss_gap(
    frame: pd.DataFrame, one: Mapping[str, Any], other: Mapping[str, Any], loss: Callable[..., pd.Series] = finals
) -> list[float]:
    """Loss of the runs with the values `one` − loss of those with the values `other`, seed by seed."""
    return paired(loss(frame, **one), loss(frame, **other))


def reducible(frame: pd.DataFrame) -> float:
    """Loss of a model that ignores the input − the floor: the unit in which losses are compared.

    Raises ConfigError for runs made before these baselines were recorded.
    """
    missing = [name for name in ("baseline.blind", "baseline.floor") if name not in frame or frame[name].isna().any()]
    if missing:
        raise ConfigError(f"the runs have no {' and no '.join(missing)}: they are of an older version; run them again")
    return float(frame["baseline.blind"].iloc[0] - frame["baseline.floor"].iloc[0])


def relative_gap(
    frame: pd.DataFrame, one: Mapping[str, Any], other: Mapping[str, Any], *, loss: Callable[..., pd.Series] = finals
) -> list[float]:
    """`loss_gap`, by default of the final losses, as a share of source-blind loss − floor."""
    return [gap / reducible(frame) for gap in loss_gap(frame, one, other, loss)]


def trained_where(frame: pd.DataFrame, one: Mapping[str, Any], other: Mapping[str, Any]) -> list[float]:
    """1 for every seed at which `one` is trained and `other` is not, else 0."""
    return [float(a > b) for a, b in zip(trained(frame, **one), trained(frame, **other), strict=True)]


COMPARABLE = f"every run of both is trained, and neither is within {LOSS_MARGIN:.0%} of the floor (ceiling)."


def comparable(frame: pd.DataFrame, *arms: Mapping[str, Any]) -> bool:
    """Whether it makes sense to ask which of them reaches the lower loss. See COMPARABLE."""
    rows = [where(frame, **arm) for arm in arms]
    above = LOSS_MARGIN * reducible(frame) + float(frame["baseline.floor"].iloc[0])
    return all(
        (part["outcome"] == "trained").all() and part["final_loss"].astype(float).median() > above for part in rows
    )


LEARNED = "no run of either is stuck or diverged."


def learned(frame: pd.DataFrame, *arms: Mapping[str, Any]) -> bool:
    """Whether every run has learned something. See LEARNED."""
    return all(where(frame, **arm)["outcome"].isin(HAS_LEARNED).all() for arm in arms)


def values_by_seed(rows: pd.DataFrame, **keys: Any) -> pd.Series:
    """The one value of every seed at a place."""
    return where(rows, **keys).set_index("seed")["value"].sort_index()


def steps_to(curve: pd.DataFrame, level: float, window: int = 20) -> float:
    """First step at which the mean loss of the last `window` steps is at most `level`; the last step where none is,
    infinite where the run diverged before."""
    rows = curve.sort_values("step")
    below = rows.loc[rows["value"].rolling(window).mean() <= level, "step"]
    if len(below):
        return float(below.iloc[0])
    return float(rows["step"].iloc[-1]) if np.isfinite(rows["value"].iloc[-1]) else np.inf


def spikes(losses: pd.Series, window: int = 100, deviations: float = 7.0) -> float:
    """Share of the steps whose loss is a spike: above the mean of the `window` steps before by so many standard
    deviations of theirs (the spike score of OLMo 2, arXiv 2501.00656, whose window is 1,000).

    The first `window` steps are not counted. A loss that is not finite is a spike.
    """
    before = losses.rolling(window)
    level = (before.mean() + deviations * before.std()).shift()
    counted = losses[window:]
    return float((~(counted <= level[window:])).mean())
