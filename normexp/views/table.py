"""The results table: one row per cell, seeds gathered as mean ± standard deviation."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from normexp.views import formatting
from normexp.views.probe_table import ProbeTable, probe_cost, tables
from normexp.views.runs import split_sweeps, swept_keys

# Status field, heading, and how a value is written.
RESULTS = (
    ("final_loss", "final loss", "{:.3f}"),
    ("valid_loss", "valid loss", "{:.3f}"),
    ("token_accuracy", "token accuracy", "{:.1%}"),
    ("accuracy", "accuracy", "{:.1%}"),
    ("bleu", "BLEU", "{:.1f}"),
)
COLOURS = {
    **{"trained": "green", "partial": "yellow", "stuck": "red", "diverged": "magenta"},
    **{"completed": "green", "running": "cyan", "pending": "dim", "failed": "bold red", "killed": "red"},
}
LEVELS = {
    **{"unigram": "unigram", "position_only": "position-only", "target_bigram": "target bigram"},
    **{"class_prior": "class prior"},
}


class Cell(NamedTuple):
    """One row of the table: its swept values, its results as written, and the outcomes and states counted."""

    keys: list[str]
    n: int
    results: list[str]
    outcomes: dict[str, int]
    states: dict[str, int]


MACHINE = ("results", "config_dirs", "pid", "host", "heartbeat", "measured")


def table(frame: pd.DataFrame) -> RenderableType:
    """Return the table of each sweep among these runs, ready for a rich console: its results, or, where nothing was
    trained, what probes read."""
    return Group(*(_one(folder, part) for folder, part in split_sweeps(frame).items()))


def csv(frame: pd.DataFrame) -> str:
    """Return every run as one row as CSV: all that was asked for and all that came out, nothing of this machine."""
    folders = [Path(folder) for folder in frame["folder"]]
    kept = frame.drop(columns=[column for column in MACHINE if column in frame])
    kept["folder"] = [f"{folder.parent.name}/{folder.name}" for folder in folders]
    return kept.to_csv(index=False, lineterminator="\n")


def markdown(frame: pd.DataFrame) -> str:
    """Return the table of each sweep as Markdown, to be kept beside its figures."""
    parts = []
    for folder, part in split_sweeps(frame).items():
        if _trained(part):
            columns, cells = cells_of(part)
            shown = f"{levels_line(part)}\n\n{_pipes(columns, map(_texts, cells))}"
        else:
            shown = "\n".join(f"{read.statistic}:\n\n{_pipes(read.columns, read.rows)}" for read in tables(part))
        parts.append(
            f"**{folder.resolve().name}**: {formatting.heading(part, swept_keys(part))}\n\n{shown}"
            + "".join(f"\n- {note}" for note in notes(part))
        )
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def _pipes(columns: list[str], rows: Iterable[list[str]]) -> str:
    return "".join(f"| {' | '.join(line)} |\n" for line in (columns, ["---"] * len(columns), *rows))


def _trained(frame: pd.DataFrame) -> bool:
    return "steps" not in frame or bool(frame["steps"].any())


def cells_of(frame: pd.DataFrame) -> tuple[list[str], list[Cell]]:
    """Return the table's column names and its rows: one per cell, with all seeds of a cell in one row.

    A swept key with one value stands in the heading instead of a column.
    """
    keys = [key for key in swept_keys(frame) if key != "seed" and frame[key].nunique(dropna=False) > 1]
    shown = [(field, form) for field, _, form in RESULTS if frame[field].notna().any()]
    names = [name for field, name, _ in RESULTS if frame[field].notna().any()]
    groups: Iterable[tuple[object, pd.DataFrame]] = (
        frame.groupby(keys, sort=False, dropna=False) if keys else [((), frame)]
    )
    cells = [
        Cell(
            keys=[formatting.number(value) for value in (group if isinstance(group, tuple) else (group,))],
            n=len(runs),
            results=[_spread(runs[field], form) for field, form in shown],
            outcomes=_count(runs["outcome"]),
            states=_count(runs["state"]),
        )
        for group, runs in groups
    ]
    return [*keys, "n", *names, "outcome", "state"], cells


def levels_line(frame: pd.DataFrame) -> str:
    """Return the levels in one line, with the range where they differ between the runs' data."""
    levels = [
        f"{LEVELS.get(name, name)} {_range(frame[column].dropna())}"
        for column in map(str, frame.columns)
        if column.startswith("baseline.") and (name := column.removeprefix("baseline.")) and frame[column].notna().any()
    ]
    within = f"outcomes within {_steps(frame)}" if "steps" in frame else "outcomes"
    return f"levels ({formatting.unit(frame)}): {' · '.join(levels) or 'not known yet'}; {within}"


def notes(frame: pd.DataFrame) -> list[str]:
    """Return a line for each run that diverged (where it began) or failed (why, and where its log lies)."""
    lines = []
    for run in frame.to_dict("records"):
        folder = Path(run["folder"])
        if run["state"] == "failed":
            lines.append(f"failed: {folder.name}: {run['error'] or 'no message'}; log: {folder / 'log.txt'}")
        elif run["outcome"] == "diverged":
            step = f" at step {run['diverged_at']:.0f}" if pd.notna(run["diverged_at"]) else ""
            first = f", first to go: {run['first_to_go']}" if pd.notna(run["first_to_go"]) else ""
            lines.append(f"diverged: {folder.name}{step}{first}")
    return lines


def _one(folder: Path, frame: pd.DataFrame) -> RenderableType:
    title = Text.assemble((folder.resolve().name, "bold"), ": ", formatting.heading(frame, swept_keys(frame)))
    if _trained(frame):
        shown: list[RenderableType] = [Text(levels_line(frame)), _results(frame)]
    else:
        shown = [_coloured(_count(frame["state"]), len(frame), terse=True), *map(_read, tables(frame))]
    # Paths in the notes are for copying: fold them, never cut them.
    below = [note for note in (*notes(frame), probe_cost(frame)) if note]
    return Group(title, *shown, *[Text(note, overflow="fold") for note in below])


def _read(read: ProbeTable) -> Table:
    drawn = Table(title=read.statistic, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    for index, column in enumerate(read.columns):
        drawn.add_column(column, justify="left" if index < read.keys else "right")
    for row in read.rows:
        drawn.add_row(*row)
    return drawn


def _results(frame: pd.DataFrame) -> Table:
    columns, cells = cells_of(frame)
    drawn = Table(box=SIMPLE_HEAD, header_style="bold", show_edge=False, padding=(0, 1, 0, 0))
    settled = len(columns) - 2
    keys = len(cells[0].keys)
    for index, column in enumerate(columns):
        # On a narrow terminal numbers wrap at their ±; what names a cell and its outcome stays whole.
        name, outcome = index <= keys, index >= settled
        drawn.add_column(
            column,
            justify="left" if outcome or index < keys else "right",
            no_wrap=name,
            min_width=min(12, max(len(_texts(cell)[index]) for cell in cells)) if outcome else None,
        )
    for cell in cells:
        drawn.add_row(
            *[Text(text) for text in _texts(cell)[:settled]],
            _coloured(cell.outcomes, cell.n),
            _coloured(cell.states, cell.n, terse=True),
        )
    return drawn


def _texts(cell: Cell) -> list[str]:
    outcome, state = _coloured(cell.outcomes, cell.n), _coloured(cell.states, cell.n, terse=True)
    return [*cell.keys, str(cell.n), *cell.results, outcome.plain, state.plain]


def _coloured(counts: dict[str, int], n: int, terse: bool = False) -> Text:
    """Write "stuck" for one run, "stuck 2/3, partial 1/3" for several; `terse` drops the count of all."""
    parts = [
        Text(name if n == 1 or (terse and count == n) else f"{name} {count}/{n}", style=COLOURS.get(name, ""))
        for name, count in counts.items()
    ]
    return Text(", ").join(parts) if parts else Text("–")


def _count(values: pd.Series) -> dict[str, int]:
    counts = values.dropna().value_counts()
    return {str(name): int(count) for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))}


def _spread(values: pd.Series, form: str) -> str:
    """Write mean ± sample standard deviation; where runs lack a finite value, say how many have one."""
    numbers = pd.to_numeric(values, errors="coerce").replace([float("inf"), -float("inf")], float("nan"))
    finite = numbers.dropna()
    if finite.empty:
        return "–"
    text = form.format(finite.mean())
    if len(finite) > 1:
        text += f" ± {form.format(finite.std(ddof=1))}"
    return text if len(finite) == len(values) else f"{text} ({len(finite)} of {len(values)})"


def _range(values: pd.Series) -> str:
    low, high = f"{values.min():.2f}", f"{values.max():.2f}"
    return low if low == high else f"{low} to {high}"


def _steps(frame: pd.DataFrame) -> str:
    steps = sorted(frame["steps"].dropna().unique())
    return f"{', '.join(formatting.number(step) for step in steps)} steps"
