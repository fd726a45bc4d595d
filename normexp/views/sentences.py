"""What a sweep shows, in sentences computed from its tables: no number that they do not hold."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from normexp.views import formatting
from normexp.views.grid import assign_axes, values_of, where
from normexp.views.probe_table import layer_values
from normexp.views.runs import load_table, swept_keys

OUTCOMES = ("trained", "partial", "stuck", "diverged")
SITES = ("feed_forward", "attention")
NAMED = 6  # values that a sentence lists; of more it gives the number
KEYS = {"variant": "variant", "depth": "depth", "lr": "learning rate", "warmup": "warm-up", "init": "initialisation"}


def question(runs: pd.DataFrame) -> str:
    """What the sweep asks, in one sentence."""
    keys = [key for key in swept_keys(runs) if key != "seed" and runs[key].nunique(dropna=False) > 1]
    subject = _some(runs, "variant") if "variant" in runs else "the model"
    others = [f"{KEYS.get(key, key)} {_some(runs, key)}" for key in keys if key != "variant"]
    at = f" at {_listed(others)}" if others else ""
    if not _trained(runs):
        return f"What do the probes show of {subject}{at}, before training?"
    data = f" ({_some(runs, 'data')})" if "data" in runs else ""
    task = f" on {_some(runs, 'task').replace('_', ' ')}{data}" if "task" in runs else ""
    return f"How {'do' if 'variant' in keys else 'does'} {subject} train{at}{task}, within {_steps(runs)}?"


def summary(runs: pd.DataFrame) -> list[str]:
    """Two or three sentences: the outcomes, which values trained where, and the lowest loss. None without training."""
    done = runs[runs["outcome"].notna()]
    if done.empty or not _trained(runs):
        return []
    counts = [(name, int((done["outcome"] == name).sum())) for name in OUTCOMES]
    said = _listed([f"{count} {name}" for name, count in counts if count])
    found = [f"Outcomes of the {len(done)} runs that completed: {said}." if len(done) > 1 else f"Outcome: {said[2:]}."]
    axes = assign_axes(done)
    if axes.colour and axes.column and done[axes.column].nunique() > 1:
        found.append(_reach(runs, axes.colour, axes.column))  # a seed that failed has not trained
    found.append(_lowest(runs))
    return [sentence for sentence in found if sentence]


def of_figure(stem: str, runs: pd.DataFrame) -> str:
    """The sentence for a figure of these runs, by the name of its file; empty for a figure of another kind."""
    kind, _, ending = stem.partition("-")
    some = _combination(runs, ending)
    if kind == "loss_curves":
        return _losses(some)
    if kind == "gradient_norms":
        return _ratios(some, "grad_norm", "gradient norm")
    if kind.startswith("probe_"):
        names = {name for name in layer_values(some)["statistic"].unique() if _file(name) == kind}
        said = [_ratios(some, name, name.replace("_", " "), at="max") for name in sorted(names)]
        return " ".join(filter(None, said))
    return ""


def _reach(runs: pd.DataFrame, colour: str, column: str) -> str:
    """At which values of the column all seeds of each variant trained."""
    said = []
    if not (runs["outcome"] == "trained").any() or _others(runs, colour, column):
        return ""
    for value in values_of(runs, colour):
        here = where(runs, **{colour: value})
        at = [each for each in values_of(here, column) if (where(here, **{column: each})["outcome"] == "trained").all()]
        everywhere = len(at) == here[column].nunique(dropna=False)
        name = formatting.setting(colour, value)
        places = "every" if everywhere else "no" if not at else ""
        numbers = _listed([formatting.number(each) for each in at])
        said.append(f"{name} at {places} {column}" if places else f"{name} at {column} {numbers}")
    if len(said) > NAMED:
        return ""
    return f"With all seeds trained: {'; '.join(said)}."


def _lowest(runs: pd.DataFrame) -> str:
    keys = [key for key in swept_keys(runs) if key != "seed" and runs[key].nunique(dropna=False) > 1]
    groups: Iterable[tuple[Any, pd.DataFrame]] = runs.groupby(keys, sort=False, dropna=False) if keys else [((), runs)]
    means = [
        (float(some["final_loss"].astype(float).mean()), values, some)
        for values, some in groups
        if np.isfinite(some["final_loss"].astype(float)).all()  # no mean over survivors
    ]
    if len(means) < 2:
        return ""
    _, values, some = min(means, key=lambda each: each[0])
    where_ = ", ".join(formatting.setting(key, value) for key, value in zip(keys, values, strict=True))
    said = f"Lowest {'mean ' * (len(some) > 1)}final loss: {_spread(some['final_loss'])} {formatting.unit(runs)}"
    said += f" ({where_})" if where_ else ""
    if "baseline.blind" in runs and runs["baseline.blind"].nunique() == 1:
        blind = float(runs["baseline.blind"].dropna().iloc[0])
        what = "ignores the source" if runs["task"].iloc[0] == "translation" else "ignores its input"
        said += f"; a model that {what} reaches {blind:.2f} at best"
    return f"{said}."


def _losses(runs: pd.DataFrame) -> str:
    axes = assign_axes(runs)
    if runs["outcome"].isna().all() or not axes.colour or _others(runs, axes.colour, axes.column):
        return ""
    column = axes.column if axes.column and runs[axes.column].nunique() > 1 else None
    last = values_of(runs, column)[-1]
    here = where(runs, **{column: last}) if column else runs
    values = values_of(here, axes.colour)
    said = [
        f"{formatting.setting(axes.colour, value)} {_final(where(here, **{axes.colour: value}))}"
        for value in values[:NAMED]
    ]
    more = f", and {len(values) - NAMED} more" if len(values) > NAMED else ""
    at = f" at {formatting.setting(column, last)}" if column else ""
    return f"Final loss{at} ({formatting.unit(runs)}): {', '.join(said)}{more}."


def _final(runs: pd.DataFrame) -> str:
    """The mean final loss of the seeds of one configuration, if all of them completed."""
    return "not complete" if runs["outcome"].isna().any() else _spread(runs["final_loss"])


def _others(runs: pd.DataFrame, *drawn: str | None) -> list[str]:
    """The keys other than these in which runs differ, so that they are no seeds of each other."""
    keys = [key for key in swept_keys(runs) if key != "seed" and key not in drawn]
    return [key for key in keys if runs[key].nunique(dropna=False) > 1]


def _ratios(runs: pd.DataFrame, statistic: str, name: str, *, at: str = "min") -> str:
    """The last layer's value over the first's in the deepest stack, at the first or (max) the last measured step."""
    axes = assign_axes(runs)
    if _others(runs, axes.colour, axes.column, "depth"):
        return ""
    column = axes.column if axes.column != "depth" and axes.column in _others(runs) else None
    shown = values_of(runs, column)[-1]
    runs = where(runs, **{column: shown}) if column else runs
    rows = load_table(runs, "layers", [("statistic", "==", statistic), ("parameter", "==", ""), ("layer", ">", 0)])
    if rows.empty or not axes.colour:
        return ""
    site = next((each for each in SITES if each in set(rows["site"])), str(rows["site"].iloc[0]))
    stack = "decoder" if "decoder" in set(rows["stack"]) else str(rows["stack"].iloc[0])
    deepest = max(runs["depth"])
    folders = runs.loc[runs["depth"] == deepest, ["folder", axes.colour]]
    rows = rows[(rows["site"] == site) & (rows["stack"] == stack) & rows["folder"].isin(folders["folder"])]
    if rows.empty:
        return ""
    step = rows["step"].agg(at)
    rows = rows[rows["step"] == step]
    said = []
    for value in values_of(folders, axes.colour)[:NAMED]:
        its = where(folders, **{axes.colour: value})["folder"]
        here = rows[rows["folder"].isin(its)]
        some = 0 < here["folder"].nunique() < len(its)  # seeds that are missing, or ended before
        ratio = "not measured in all seeds" if some else _ratio(here)
        said.append(f"{formatting.setting(axes.colour, value)} {ratio}")
    place = f"{site.replace('_', '-')} sub-layers of the {stack}" if site else stack
    where_ = f"at step {step}, {place}, depth {deepest}"
    where_ += f", {formatting.setting(column, shown)}" if column else ""
    return f"{name.capitalize()} of the last layer over the first {where_}: {', '.join(said)}."


def _ratio(rows: pd.DataFrame) -> str:
    """The geometric mean over the seeds of last over first; words where a value has no logarithm."""
    ends = rows.groupby("folder")["layer"].agg(["min", "max"])
    values = rows.set_index(["folder", "layer"])["value"].astype(float)
    ratios = []
    for folder, first, last in ends.itertuples():
        low, high = values.loc[[(folder, first)]].mean(), values.loc[[(folder, last)]].mean()
        if not (np.isfinite([low, high]).all() and high > 0 and low >= 0):
            return "not finite"
        ratios.append(high / low if low > 0 else np.inf)
    if not ratios:
        return "not measured"
    mean = float(np.exp(np.mean(np.log(ratios))))
    return _two_digits(mean) if np.isfinite(mean) else "not defined (the first is 0)"


def _two_digits(value: float) -> str:
    """Two significant digits, as a plain number up to a million: 0.51, 1.3, 900."""
    rounded = float(f"{value:.2g}")
    return f"{rounded:,.0f}" if 10 <= rounded < 1e6 else f"{rounded:g}"


def _combination(runs: pd.DataFrame, ending: str) -> pd.DataFrame:
    """The runs whose values a file name states: `norm.eps=0.1,lr=1e-3`."""
    for part in filter(None, ending.split(",")):
        key, _, value = part.partition("=")
        if key in runs:
            runs = runs[[formatting.number(each).replace("%", "pct") == value for each in runs[key]]]
    return runs


def _file(statistic: str) -> str:
    return "probe_" + "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in statistic)


def _trained(runs: pd.DataFrame) -> bool:
    return "steps" not in runs or bool(runs["steps"].any())


def _spread(values: pd.Series) -> str:
    numbers = pd.to_numeric(values, errors="coerce")
    if not np.isfinite(numbers).all():
        return "not finite"
    return f"{numbers.mean():.3f}" + (f" ± {numbers.std(ddof=1):.3f}" if len(numbers) > 1 else "")


def _some(runs: pd.DataFrame, key: str) -> str:
    values = values_of(runs, key)
    return _listed([formatting.number(each) for each in values]) if len(values) <= NAMED else f"({len(values)} values)"


def _steps(runs: pd.DataFrame) -> str:
    return f"{_listed([formatting.number(step) for step in sorted(runs['steps'].dropna().unique())])} steps"


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))
