"""Numbers, settings and outcomes as text for titles, tables and figures."""

import math
from collections.abc import Iterable, Sequence

import pandas as pd

from normexp.views.runs import undamaged
from normexp.views.unusual import unusual


def number(value: object) -> str:
    """A swept value or a setting as text, in six significant digits: 1e-3 for 0.001, none for None."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "none"
    if isinstance(value, float) and 0 < abs(value) < 0.01:
        mantissa, exponent = f"{value:.5e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def warm_up(value: object) -> str:
    """A warm-up as text: 10 % for a share, 40 steps for a number."""
    if isinstance(value, str) and value.rstrip().endswith("%"):
        return value.replace(" ", "").replace("%", " %")
    return "none" if value in (0, None, "0") else f"{number(value)} steps"


def setting(key: str, value: object) -> str:
    """One key and its value, as in a title or a legend."""
    match key:
        case "init":
            return f"{value} init"
        case "steps":
            return f"{number(value)} steps"
        case "warmup":
            return "no warm-up" if warm_up(value) == "none" else f"warm-up {warm_up(value)}"
        case (
            "norm" | "model" | "task" | "data" | "variant" | "stack" | "site" | "moment" | "part" | "change" | "stacks"
        ):
            return str(value)
        case "model.encoder_depth" | "model.decoder_depth":
            return f"{key.removeprefix('model.').replace('_', ' ')} {number(value)}"
        case _:
            return f"{key} {number(value)}"


def outcome_initials(outcomes: Iterable[object]) -> str:
    """First letters of the outcomes of several seeds: one letter if all agree, else one per seed; ? for no outcome."""
    firsts = [outcome[:1].upper() if isinstance(outcome, str) else "?" for outcome in outcomes]
    return firsts[0] if len(set(firsts)) == 1 else "".join(firsts)


def slope(estimate: float, low: float, high: float) -> str:
    """A slope with its interval: −1.04 [−1.43, −0.65]."""
    first, *ends = (f"{round(value, 2) + 0.0:.2f}".replace("-", "−") for value in (estimate, low, high))
    return f"{first} [{', '.join(ends)}]"


def unit(frame: pd.DataFrame) -> str:
    """The unit of these runs' losses: a classifier predicts once per example, not per token."""
    classes = "baseline.class_prior" in frame and frame["baseline.class_prior"].notna().any()
    return "nats" if classes else "nats per token"


def heading(frame: pd.DataFrame, swept: Sequence[str]) -> str:
    """The settings that these runs share, `swept` keys with one value and what is no default included; seeds.

    e.g. "xavier_uniform init · layer_norm · tiny · translation · 400 steps · lr 1e-3 · n = 3 seeds"
    """
    sound = undamaged(frame) if "state" in frame else frame
    frame = sound if len(sound) else frame
    keys: tuple[str, ...] = (
        "variant",
        "depth",
        "init",
        "norm",
        "model",
        "task",
        "data",
        "steps",
        "lr",
        "warmup",
    )
    if "model.encoder_depth" in swept or "model.decoder_depth" in swept:  # then depth is that of the other stack
        keys = (*(key for key in keys if key != "depth"), "model.encoder_depth", "model.decoder_depth")
    keys += tuple(key for key in swept if key not in keys and key != "seed")
    if "steps" in frame and not frame["steps"].any():  # without training these keys have no effect
        keys = tuple(key for key in keys if key not in ("steps", "lr", "warmup"))
    shared = [
        setting(key, frame[key].iloc[0]) for key in keys if key in frame and frame[key].nunique(dropna=False) == 1
    ]
    shared += [setting(key, value) for key, value in unusual(frame, keys).items()]
    return " · ".join(filter(None, [*shared, seeds(frame, swept)]))


def seeds(frame: pd.DataFrame, swept: Sequence[str]) -> str:
    """The number of completed seeds per configuration: "n = 3 seeds", or a range if configurations differ."""
    done = frame[frame["state"] == "completed"]
    frame = done if len(done) else frame
    keys = [key for key in swept if key != "seed"]
    counts = frame.groupby(keys, dropna=False).size() if keys else pd.Series([len(frame)])
    low, high = int(counts.min()), int(counts.max())
    return f"n = {low} seed{'s' * (low != 1)}" if low == high else f"n = {low}–{high} seeds"
