import io
import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from normexp.views import formatting
from normexp.views.levels import different_data
from normexp.views.runs import load_runs
from normexp.views.table import MACHINE, baselines_line, csv, markdown, rows_of, table


def printed(frame: pd.DataFrame, width: int = 160) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(table(frame))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_seeds_are_gathered(sweep: Path) -> None:
    columns, listed = rows_of(load_runs(sweep))
    assert columns == [
        *("depth", "variant", "n", "final loss", "valid loss", "token accuracy", "BLEU", "outcome", "state")
    ]
    rows = {tuple(row.keys): row for row in listed}
    assert len(rows) == 9
    # Seeds end at 0.30 and 0.32: mean 0.31, sample standard deviation 0.02 / √2.
    assert rows["6", "post_ln"].results[0] == "0.310 ± 0.014"
    assert rows["6", "post_ln"].outcomes == {"trained": 2}
    assert rows["18", "no_residual"].outcomes == {"stuck": 2}
    # A diverged seed has no final loss, a failed one has nothing: both still count.
    assert rows["12", "post_ln"].results[0] == "1.200, –"
    assert rows["12", "post_ln"].outcomes == {"diverged": 1, "partial": 1}
    assert rows["18", "pre_ln"].states == {"completed": 1, "failed": 1}


def test_many_seeds_of_which_some_diverged_have_a_median() -> None:
    """The median counts a diverged seed as the worst; a failed one has no loss to count."""
    seeds = pd.DataFrame({"seed": range(8), "variant": "post_ln", "state": "completed", "outcome": "trained"})
    frame = seeds.assign(final_loss=[0.1, 0.2, 0.3, 0.4, None, None, None, None], valid_loss=None, token_accuracy=0.9)
    frame = frame.assign(accuracy=None, bleu=None, folder=[f"sweep/{seed}" for seed in range(8)])
    frame.loc[4:6, "outcome"] = "diverged"
    frame.loc[7, ["state", "outcome"]] = ["failed", None]
    assert rows_of(frame)[1][0].results == ["median 0.400 (– in 4 of 8)", "90.0% ± 0.0%"]
    frame.loc[3, "final_loss"] = None
    assert rows_of(frame)[1][0].results[0] == "median – (– in 5 of 8)"


def test_what_the_table_says(sweep: Path) -> None:
    text = printed(load_runs(sweep))
    for said in (
        "try: xavier_uniform init · layer_norm · tiny · translation",
        "100 steps · lr 1e-3 · warm-up 10 % · n = 1–2 seeds",
        "unigram 2.93 · position-only 1.89 · target bigram 2.12; outcomes within 100 steps",
        "stuck 2/2",
        "failed: depth=18,variant=pre_ln,seed=1-1a2b3c4d: ValueError: no such thing; log: ",
        "at step 70, first to go: decoder.12.feed_forward",
    ):
        assert said in text


@pytest.mark.parametrize("width", [60, 80, 100])
def test_a_narrow_terminal_keeps_the_log_path_and_the_names(sweep: Path, width: int) -> None:
    text = printed(load_runs(sweep), width)
    assert str(sweep / "depth=18,variant=pre_ln,seed=1-1a2b3c4d" / "log.txt") in text.replace("\n", "")
    if width >= 80:
        assert "no_residual" in text
        assert "trained 2/2" in text


@pytest.mark.parametrize("width", [70, 80, 90, 120])
def test_a_narrow_table_has_one_line_per_row(sweep: Path, width: int) -> None:
    """Columns are left out by name rather than wrapped; keys, final loss and outcome stay."""
    frame = load_runs(sweep)
    frame = frame[(frame["depth"] != 12) & (frame["variant"] != "pre_ln")]
    lines = printed(frame, width).splitlines()
    rows = [line for line in lines if "post_ln" in line or "no_residual" in line]
    assert len(rows) == 4
    assert all("±" in row and "/2" in row for row in rows)
    assert any(line.startswith("left out: valid loss") for line in lines) == (width < 100)
    assert max(map(len, lines)) <= width


def test_runs_say_what_they_cost(make_sweep: Callable[..., Path]) -> None:
    """In all 3 seconds; runs from before costs were recorded have no such columns."""
    folder = make_sweep(depth=[6], variant=["pre_ln", "post_ln"], seed=[0, 1])
    for path in folder.rglob("status.json"):
        status = json.loads(path.read_text())
        path.write_text(json.dumps(status | {"tokens_per_step": 1200.0, "flops_per_token": 2_142_892.8}))
    columns, (row, _) = rows_of(load_runs(folder))
    costs = dict(zip(columns[columns.index("n") + 1 :], row.results, strict=False))
    assert costs["FLOPs/token"] == "2.14e+06"
    assert costs["tokens/s"] == "40,000 ± 0"
    assert "left out: tokens/s" in printed(load_runs(folder), 100)


def test_a_state_that_is_not_complete_is_never_left_out(sweep: Path) -> None:
    assert "failed 1/2" in printed(load_runs(sweep), 100)


def test_runs_on_different_data_are_named(sweep: Path) -> None:
    """A package was updated between two runs, whose docstrings are the text; or the keys say that the data differs."""
    frame = load_runs(sweep)
    assert not different_data(frame)
    frame.loc[0, "baseline.unigram"] += 0.01
    name, others = frame["data"].iloc[0], frame["baseline.unigram"].count() - 1
    line = f"different data: data={name} was not the same for all runs ({others} and 1 runs)"
    assert [each[: len(line)] for each in different_data(frame)] == [line]
    assert line in printed(frame)
    frame["data.seed"] = range(len(frame))
    assert not different_data(frame)


def test_sweeps_have_a_line_between_them(make_sweep: Callable[..., Path]) -> None:
    for name in ("one", "two"):
        folder = make_sweep(name, depth=[6], variant=["post_ln"])
    assert "\n\ntwo: " in printed(load_runs(folder.parent))


def test_one_run_without_seeds(make_sweep: Callable[..., Path]) -> None:
    frame = load_runs(make_sweep(task=["classification"], depth=[6, 12], variant=["pre_ln"]))
    columns, rows = rows_of(frame)
    # task and variant have one value each: they are in the title.
    assert columns == ["depth", "n", "final loss", "valid loss", "accuracy", "outcome", "state"]
    assert rows[0].results == ["0.200", "0.250", "75.0%"]
    assert baselines_line(frame) == "baselines (nats): class prior 2.99; outcomes within 100 steps"


def test_csv_has_every_run_and_column(sweep: Path) -> None:
    frame = load_runs(sweep)
    back = pd.read_csv(io.StringIO(csv(frame)))
    assert len(back) == 18
    assert list(back.columns) == [column for column in frame.columns if column not in MACHINE]
    assert {"pid", "host"} & set(frame.columns)
    assert back["folder"].iloc[0] == "/".join(Path(frame["folder"].iloc[0]).parts[-2:])
    assert back["final_loss"].iloc[0] == pytest.approx(0.30)


def test_markdown_shows_text_of_runs_as_text(make_sweep: Callable[..., Path]) -> None:
    frame = load_runs(make_sweep(depth=[6], variant=["post_ln"]))
    said = markdown(frame.assign(state="failed", error='unsupported <class "x"> | a'))
    assert r'unsupported \<class "x"> \| a' in said


def test_markdown(sweep: Path) -> None:
    lines = markdown(load_runs(sweep)).splitlines()
    assert lines[0].startswith("**try**: xavier_uniform init")
    losses, rest = "0.310 ± 0.014 | 0.360 ± 0.014", "90.0% ± 0.0% | 80.0 ± 0.0 | trained 2/2 | completed"
    assert f"| 6 | post_ln | 2 | {losses} | {rest} |" in lines
    assert sum(line.startswith("| ") for line in lines) == 11


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e-3, "1e-3"),
        (3.5e-4, "3.5e-4"),
        (0.1, "0.1"),
        (6, "6"),
        (None, "none"),
        ("post_ln", "post_ln"),
        (0.0, "0"),
    ],
)
def test_numbers(value: object, text: str) -> None:
    assert formatting.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [("10%", "warm-up 10 %"), (0, "no warm-up"), (100, "warm-up 100 steps"), ("0", "no warm-up")],
)
def test_warm_up(value: object, text: str) -> None:
    assert formatting.setting("warmup", value) == text


@pytest.mark.parametrize(
    ("outcomes", "text"),
    [(["stuck"], "S"), (["stuck", "stuck"], "S"), (["trained", "stuck", "stuck"], "TSS"), ([None, "partial"], "?P")],
)
def test_outcomes_as_letters(outcomes: list[object], text: str) -> None:
    assert formatting.outcome_initials(outcomes) == text
