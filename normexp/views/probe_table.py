"""Probe values at the first and the last layer as tables, and the time that probes took."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from normexp.views import formatting
from normexp.views.runs import load_table, swept_keys

KINDS = ("feed_forward", "attention", "cross_attention")  # the first of these that a layer has represents it
PROBES = Path(__file__).parents[1] / "probes"
MOST_TIMED = 200  # runs: more of them would take longer to read and hardly change the mean


class ProbeTable(NamedTuple):
    """The table of one statistic: one row per configuration, with swept values and means over seeds, as text."""

    statistic: str
    measures: str  # what the statistic means; "" where its probe does not say
    columns: list[str]
    keys: int  # the number of columns with swept values
    rows: list[list[str]]

    @property
    def title(self) -> str:
        return f"{self.statistic} ({self.measures})" if self.measures else self.statistic


def statistics_of(runs: pd.DataFrame) -> dict[str, str]:
    """What each statistic means that the probes of these runs write, and which way is good, as the classes say.

    A probe that is not of the package, such as one from a user's folder, is left out.
    """
    columns = [str(column) for column in runs if _TARGET.fullmatch(str(column))]
    meanings: dict[str, str] = {}
    for column in columns:
        for target in runs[column].dropna().unique():
            words = _words_of(str(target))
            said = {column.split(".")[1]: words.get("measures", "")} | words.get("statistics", {})
            good = f"; good: {words['good']}" if words.get("good") else ""
            meanings |= {statistic: meaning + good for statistic, meaning in said.items() if meaning}
    return meanings


@cache
def _words_of(target: str) -> dict[str, Any]:
    """`measures`, `statistics` and `good` of a probe of the package; nothing for another one.

    They are read from the text of the class: importing it would import torch, which takes longer than a figure.
    """
    found = re.fullmatch(r"normexp\.probes\.(\w+)\.(\w+)", target)
    if not found or not (path := PROBES / f"{found[1]}.py").is_file():
        return {}
    words = {}
    for each in ast.parse(path.read_text(encoding="utf-8")).body:
        for line in each.body if isinstance(each, ast.ClassDef) and each.name == found[2] else []:
            match line:
                case (
                    ast.Assign(targets=[ast.Name(id=word)], value=ast.expr() as value)
                    | ast.AnnAssign(target=ast.Name(id=word), value=ast.expr() as value)
                ) if word in ("measures", "statistics", "good"):
                    words[word] = ast.literal_eval(value)
    return words


_TARGET = re.compile(r"probes\.[^.]+\._target_")


def layer_values(runs: pd.DataFrame) -> pd.DataFrame:
    """The rows that represent a layer or a whole stack at the last measured step of every run.

    The swept keys, variant and depth are joined.
    """
    rows = load_table(runs, "layers", [("parameter", "==", "")], keys=("variant", "depth"))
    rows = rows[rows["step"] == rows.groupby("folder")["step"].transform("max")]
    if not len(rows):
        return rows
    rank = rows["site"].map({kind: place for place, kind in enumerate(KINDS)}).fillna(len(KINDS))
    best = rank.groupby([rows["folder"], rows["statistic"], rows["stack"], rows["layer"]]).transform("min")
    return rows[rank == best]


def tables(runs: pd.DataFrame) -> Iterator[ProbeTable]:
    """One table per statistic: at the first and the last layer of every stack, or for the whole stack."""
    meanings = statistics_of(runs)
    keys = [key for key in swept_keys(runs) if key != "seed"]
    for statistic, rows in layer_values(runs).groupby("statistic", sort=False):
        in_layers = rows[rows["layer"] > 0]
        rows = in_layers if len(in_layers) else rows
        stacks = sorted(rows["stack"].unique(), reverse=True)  # the encoder first, as in the forward
        ends = ("first layer", "last layer") if len(in_layers) else ("",)
        columns = [*keys, *(f"{stack} {end}".strip() for stack in stacks for end in ends)]
        groups = rows.groupby(keys, sort=False, dropna=False) if keys else [((), rows)]
        lines = []
        for values, group in groups:
            by_stack = [group[group["stack"] == stack] for stack in stacks]
            lines.append([*map(formatting.number, values), *(_mean(some, end) for some in by_stack for end in ends)])
        yield ProbeTable(str(statistic), meanings.get(str(statistic), ""), columns, len(keys), lines)


def _mean(rows: pd.DataFrame, end: str) -> str:
    """The mean at the first or the last layer that has a value; nan where a seed is not finite."""
    layer = rows["layer"].max() if end == "last layer" else rows["layer"].min()
    values = rows.loc[rows["layer"] == layer, "value"]
    return f"{values.mean(skipna=False):.4g}" if len(values) else "–"


def probe_cost(frame: pd.DataFrame) -> str:
    """The time that the probes of the first of these runs took; empty if none of them had to wait for the device."""
    timing = load_table(frame[:MOST_TIMED], "timing")
    probes = timing[timing["statistic"].astype(str).str.startswith("probe.")]
    if not len(probes):
        return ""
    total = timing[timing["statistic"] == "seconds"].groupby("folder")["value"].max().sum()
    means = probes.groupby(probes["statistic"].str.removeprefix("probe."), sort=False)["value"].mean()
    each = ", ".join(f"{name} {seconds:.2g} s" for name, seconds in means.sort_values(ascending=False).items())
    of = f" of the first {MOST_TIMED} runs" if len(frame) > MOST_TIMED else ""
    return f"probes: {probes['value'].sum() / total:.0%} of the time{of}; per measurement: {each}"
