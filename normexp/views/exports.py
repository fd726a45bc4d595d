"""Runs in the formats of other programs: JSON, LaTeX, parquet."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from normexp.errors import ConfigError
from normexp.records.atomic import replacing
from normexp.records.folder import ensure_writable_dir
from normexp.records.reading import visible
from normexp.views import formatting
from normexp.views.probe_table import tables
from normexp.views.runs import TABLES, load_table, split_sweeps, swept_keys
from normexp.views.table import MACHINE, baselines_line, rows_of, texts

READING = ["step", "stack", "layer", "site", "statistic", "value"]


def plain(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per run without what belongs to this machine; `folder` is the sweep's and the run's name."""
    folders = [Path(folder) for folder in frame["folder"]]
    kept = frame.drop(columns=[column for column in MACHINE if column in frame])
    return kept.assign(folder=[visible(f"{folder.parent.name}/{folder.name}") for folder in folders])


def as_json(frame: pd.DataFrame) -> str:
    """A list with one object per run: its config, its results and, as `readings`, what its probes measured first and
    last. A value that is not finite is null.
    """
    layers = load_table(frame, "layers", [("parameter", "==", "")])
    rows = json.loads(plain(frame).to_json(orient="records", double_precision=15))
    of_run = dict(iter(layers.groupby("folder")))
    for row, folder in zip(rows, frame["folder"], strict=True):
        here = of_run.get(folder, layers.iloc[:0])
        here = here[here["step"].isin([here["step"].min(), here["step"].max()])]
        row["readings"] = json.loads(here[READING].to_json(orient="records", double_precision=15))
    return json.dumps([_given(row) for row in rows], ensure_ascii=False, indent=1) + "\n"


def latex(frame: pd.DataFrame) -> str:
    """The table of each sweep for LaTeX with booktabs; settings and baselines are comments above it."""
    parts = []
    for folder, runs in split_sweeps(frame).items():
        lines = [f"{visible(folder.resolve().name)}: {formatting.heading(runs, swept_keys(runs))}"]
        lines += [baselines_line(runs)] if _trained(runs) else []
        comments = "".join(f"% {line}\n" for line in lines)
        body = "\n".join(
            "".join(f"% {line}\n" for line in reading.splitlines()) + _symbols(each.to_latex(index=False, escape=True))
            for reading, each in _drawn(runs).items()
        )
        parts.append(comments + body)
    return "\n".join(parts)


def printed(frame: pd.DataFrame) -> pd.DataFrame:
    """What `normexp results` prints, as texts: one row per configuration, mean ± standard deviation over its seeds.

    Without training, the rows of each reading, which the first column names. Several sweeps have a column for theirs.
    """
    parts = []
    for folder, runs in split_sweeps(frame).items():
        for reading, drawn in _drawn(runs).items():
            if not _trained(runs):
                drawn.insert(0, "reading", reading)
            drawn.insert(0, "sweep", visible(folder.resolve().name))
            parts.append(drawn)
    joined = pd.concat(parts, ignore_index=True).fillna("")
    return joined if joined["sweep"].nunique() > 1 else joined.drop(columns="sweep")


def _trained(runs: pd.DataFrame) -> bool:
    return "steps" not in runs or bool(runs["steps"].any())


def _drawn(runs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The tables of one sweep by their titles; a single one if it was trained."""
    if not _trained(runs):
        return {each.title: pd.DataFrame(each.rows, columns=each.columns) for each in tables(runs)}
    columns, rows = rows_of(runs)
    return {"": pd.DataFrame([texts(row) for row in rows], columns=columns)}


def parquet(frame: pd.DataFrame, out: Path) -> list[Path]:
    """Write runs.parquet, and every recorded table with the swept keys of its runs, to a folder; return the files.

    Raises ConfigError if a file cannot be written.
    """
    ensure_writable_dir(out, "--parquet")
    written = []
    found = {"runs": plain(frame)} | {name: load_table(frame, name) for name in TABLES}
    for name, rows in found.items():
        if len(rows):
            path = out / f"{name}.parquet"
            named = rows.assign(folder=[f"{Path(each).parent.name}/{Path(each).name}" for each in rows["folder"]])
            try:
                with replacing(path) as temporary:
                    _typed(named).to_parquet(temporary, index=False)
            except OSError as error:
                raise ConfigError(f"--parquet must be a folder that can be written to; got {out} ({error})") from error
            written.append(path)
    return written


def _given(row: dict[str, Any]) -> dict[str, Any]:
    """Without the keys that have no value for this run."""
    return {key: value for key, value in row.items() if value is not None}


def _typed(rows: pd.DataFrame) -> pd.DataFrame:
    """Columns of mixed types as text: parquet has one type per column."""
    mixed = [column for column in rows if rows[column].dropna().map(type).nunique() > 1]
    return rows.assign(**{str(column): rows[column].map(lambda each: None if each is None else str(each))
                          for column in mixed})  # fmt: skip


def _symbols(text: str) -> str:
    return text.replace("±", r"$\pm$").replace("–", "--")
