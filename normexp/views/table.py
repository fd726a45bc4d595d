"""The results table: one row per configuration, with mean ± standard deviation over its seeds if all have a value."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from normexp.records.reading import visible
from normexp.views import formatting
from normexp.views.levels import BASELINES, different_data
from normexp.views.markdown import escaped
from normexp.views.markdown import table as markdown_table
from normexp.views.probe_table import ProbeTable, probe_cost, tables
from normexp.views.runs import split_sweeps, swept_keys
from normexp.views.seeds import FEW

# Field of the status, heading, format.
RESULTS = (
    ("final_loss", "final loss", "{:.3f}"),
    ("valid_loss", "valid loss", "{:.3f}"),
    ("token_accuracy", "token accuracy", "{:.1%}"),
    ("accuracy", "accuracy", "{:.1%}"),
    ("bleu", "BLEU", "{:.1f}"),
    ("flops_per_token", "FLOPs/token", "{:.3g}"),
    ("tokens_per_second", "tokens/s", "{:,.0f}"),
)
SAME = ("flops_per_token",)  # in all seeds
LOSSES = ("final_loss", "valid_loss")  # lower is better
NONE = "–"
COLOURS = {
    **{"trained": "green", "partial": "yellow", "stuck": "red", "diverged": "magenta"},
    **{"completed": "green", "running": "cyan", "pending": "dim", "interrupted": "red", "stopped": "red"},
    **{"failed": "bold red", "damaged": "bold red"},
}


# What a narrow terminal does without, in this order; `state` only where every run is complete.
EXPENDABLE = ("tokens/s", "FLOPs/token", "state", "valid loss", "token accuracy", "accuracy", "BLEU")


class Row(NamedTuple):
    """One configuration over its seeds: swept values, results as text, and the counts of outcomes and states."""

    keys: list[str]
    n: int
    results: list[str]
    outcomes: dict[str, int]
    states: dict[str, int]


MACHINE = ("results", "config_dirs", "pid", "host", "heartbeat", "measured")


def table(frame: pd.DataFrame) -> RenderableType:
    """The table of each sweep among these runs, for a rich console: results or, without training, probe values."""
    parts = [_one(folder, part) for folder, part in split_sweeps(frame).items()]
    return Group(*(each for part in parts for each in (part, Text()))) if len(parts) > 1 else Group(*parts)


def csv(frame: pd.DataFrame) -> str:
    """CSV with one row per run: its config and its results, without what belongs to this machine."""
    folders = [Path(folder) for folder in frame["folder"]]
    kept = frame.drop(columns=[column for column in MACHINE if column in frame])
    kept["folder"] = [visible(f"{folder.parent.name}/{folder.name}") for folder in folders]
    kept = kept.map(_no_formula).rename(columns=_no_formula)
    return kept.to_csv(index=False, lineterminator="\n")


def _no_formula(value: object) -> object:
    """Text as a spreadsheet shows it: an apostrophe in front of what it would compute."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@")) else value


def markdown(frame: pd.DataFrame) -> str:
    """The table of each sweep as Markdown, to be kept with its figures."""
    parts = []
    for folder, part in split_sweeps(frame).items():
        if _trained(part):
            columns, rows = rows_of(part)
            shown = f"{baselines_line(part)}\n\n{_pipes(columns, map(texts, rows))}"
        else:
            shown = "\n".join(f"{escaped(each.title)}:\n\n{_pipes(each.columns, each.rows)}" for each in tables(part))
        name, settings = visible(folder.resolve().name), formatting.heading(part, swept_keys(part))
        parts.append(
            f"**{escaped(name)}**: {escaped(settings)}\n\n{shown}"
            + "".join(f"\n- {escaped(note)}" for note in notes(part))
        )
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def _pipes(columns: list[str], rows: Iterable[list[str]]) -> str:
    return markdown_table([*map(escaped, columns)], ([*map(escaped, row)] for row in rows))


def _trained(frame: pd.DataFrame) -> bool:
    return "steps" not in frame or bool(frame["steps"].any())


def rows_of(frame: pd.DataFrame) -> tuple[list[str], list[Row]]:
    """The column names of the table and its rows, one per configuration with all of its seeds.

    A swept key with a single value is in the heading and has no column.
    """
    keys = [key for key in swept_keys(frame) if key != "seed" and frame[key].nunique(dropna=False) > 1]
    measured = [(field, name, form) for field, name, form in RESULTS if field in frame and frame[field].notna().any()]
    groups: Iterable[tuple[object, pd.DataFrame]] = (
        frame.groupby(keys, sort=False, dropna=False) if keys else [((), frame)]
    )
    rows = [
        Row(
            keys=[formatting.number(value) for value in (group if isinstance(group, tuple) else (group,))],
            n=len(runs),
            results=[_spread(runs, field, form) for field, _, form in measured],
            outcomes=_count(runs["outcome"]),
            states=_count(runs["state"]),
        )
        for group, runs in groups
    ]
    return [*keys, "n", *(name for _, name, _ in measured), "outcome", "state"], rows


def baselines_line(frame: pd.DataFrame) -> str:
    """The baselines in one line, with a range where they differ between the runs' data."""
    baselines = [
        f"{BASELINES.get(name, name)} {_range(frame[column].dropna())}"
        for column in map(str, frame.columns)
        if column.startswith("baseline.") and (name := column.removeprefix("baseline.")) and frame[column].notna().any()
    ]
    within = f"outcomes within {_steps(frame)}" if "steps" in frame else "outcomes"
    return f"baselines ({formatting.unit(frame)}): {' · '.join(baselines) or 'not known yet'}; {within}"


def notes(frame: pd.DataFrame) -> list[str]:
    """One line for each run that diverged (step, first site), failed (error, log), is damaged or stopped, or is old."""
    lines = []
    for run in frame.to_dict("records"):
        folder, name = Path(run["folder"]), visible(Path(run["folder"]).name)
        if run["state"] == "failed":
            log = visible(str(folder / "log.txt"))
            lines.append(f"failed: {name}: {run['error'] or 'no message'}; log: {log}")
        elif run["state"] in ("damaged", "stopped"):
            lines.append(f"{run['state']}: {name}: {run['error']}")
        elif run["outcome"] == "diverged":
            step = f" at step {run['diverged_at']:.0f}" if pd.notna(run["diverged_at"]) else ""
            first = f", first to go: {run['first_to_go']}" if pd.notna(run["first_to_go"]) else ""
            lines.append(f"diverged: {name}{step}{first}")
        if run["state"] == "completed" and pd.notna(run["error"]):
            lines.append(f"older format: {name}: {run['error']}")
    return lines + different_data(frame)


def _one(folder: Path, frame: pd.DataFrame) -> RenderableType:
    title = Text.assemble((visible(folder.resolve().name), "bold"), ": ", formatting.heading(frame, swept_keys(frame)))
    if _trained(frame):
        shown: list[RenderableType] = [Text(baselines_line(frame)), _Fitting(*rows_of(frame))]
    else:
        shown = [_coloured(_count(frame["state"]), len(frame), terse=True), *map(_probe_table, tables(frame))]
    # Paths in the notes are for copying: fold them, do not cut them.
    below = [note for note in (*notes(frame), probe_cost(frame)) if note]
    return Group(title, *shown, *[Text(note, overflow="fold") for note in below])


def _probe_table(probe: ProbeTable) -> Group:
    drawn = Table(box=None, padding=(0, 2, 0, 0))
    for index, column in enumerate(probe.columns):
        drawn.add_column(column, justify="left" if index < probe.keys else "right")
    for row in probe.rows:
        drawn.add_row(*row)
    return Group(Text(probe.title, "bold", overflow="fold"), drawn)  # a title of the table's own would be as narrow


class _Fitting:
    """The table in as many lines as rows: columns are left out, and named below, where the terminal is too narrow."""

    def __init__(self, columns: list[str], rows: list[Row]) -> None:
        self.columns, self.rows = columns, rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        texts_of = [texts(row) for row in self.rows]
        left_out: list[str] = []
        for column in ("", *EXPENDABLE):
            place = self.columns.index(column) if column in self.columns else -1
            if column == "state" and any(row[place] != "completed" for row in texts_of):
                continue
            left_out += [column] if place >= 0 else []
            drawn = self._table(left_out)
            if Measurement.get(console, options.update(max_width=10_000), drawn).maximum <= options.max_width:
                break
        yield drawn
        missing = [column for column in left_out if column != "state"]
        if missing:
            yield Text(f"left out: {', '.join(missing)} (a wider terminal or --csv has them)", "dim")

    def _table(self, left_out: Sequence[str]) -> Table:
        drawn = Table(box=SIMPLE_HEAD, header_style="bold", show_edge=False, padding=(0, 1, 0, 0))
        keys, settled = len(self.rows[0].keys), len(self.columns) - 2
        kept = [place for place, column in enumerate(self.columns) if column not in left_out]
        for place in kept:
            numbers = keys <= place < settled
            drawn.add_column(self.columns[place], justify="right" if numbers else "left", no_wrap=place <= keys)
        for row in self.rows:
            cells = [Text(text) for text in texts(row)[:settled]]
            cells += [_coloured(row.outcomes, row.n), _coloured(row.states, row.n, terse=True)]
            drawn.add_row(*(cells[place] for place in kept))
        return drawn


def texts(row: Row) -> list[str]:
    """The cells of a row."""
    outcome, state = _coloured(row.outcomes, row.n), _coloured(row.states, row.n, terse=True)
    return [*row.keys, str(row.n), *row.results, outcome.plain, state.plain]


def _coloured(counts: dict[str, int], n: int, terse: bool = False) -> Text:
    """ "stuck" for one run, "stuck 2/3, partial 1/3" for several; `terse` omits the count if all agree."""
    parts = [
        Text(name if n == 1 or (terse and count == n) else f"{name} {count}/{n}", style=COLOURS.get(name, ""))
        for name, count in counts.items()
    ]
    return Text(", ").join(parts) if parts else Text(NONE)


def _count(values: pd.Series) -> dict[str, int]:
    counts = values.dropna().value_counts()
    return {str(name): int(count) for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))}


def _spread(runs: pd.DataFrame, field: str, form: str) -> str:
    """Mean ± sample standard deviation over the seeds. If some have no finite value, no mean: it would be one over
    those that survived. Then each seed in its order, or for many the median, for which none is the worst value.
    """
    numbers = pd.to_numeric(runs[field], errors="coerce").replace([float("inf"), -float("inf")], float("nan"))
    finite = numbers.dropna()
    if finite.empty:
        return NONE
    if field in SAME:
        return form.format(finite.iloc[0])
    if len(finite) == len(numbers):
        return form.format(finite.mean()) + (f" ± {form.format(finite.std(ddof=1))}" if len(finite) > 1 else "")
    if len(numbers) <= FEW:
        ordered = numbers[runs["seed"].sort_values(kind="stable").index] if "seed" in runs else numbers
        return ", ".join(NONE if pd.isna(value) else form.format(value) for value in ordered)
    done = numbers[runs["state"] == "completed"]
    median = done.fillna(float("inf") if field in LOSSES else -float("inf")).median()
    shown = form.format(median) if abs(median) < float("inf") else NONE
    return f"median {shown} ({NONE} in {len(numbers) - len(finite)} of {len(numbers)})"


def _range(values: pd.Series) -> str:
    low, high = f"{values.min():.2f}", f"{values.max():.2f}"
    return low if low == high else f"{low} to {high}"


def _steps(frame: pd.DataFrame) -> str:
    steps = sorted(frame["steps"].dropna().unique())
    return f"{', '.join(formatting.number(step) for step in steps)} steps"
