"""Files that cannot be used: one sentence with file and row, exit code 2, nothing half-written."""

import gzip
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from typer.testing import CliRunner

from normexp.cli import app
from normexp.data.readers import LONGEST_LINE
from tests.support.files import labels_file, pairs, pairs_file, write_table

PAIRS = ("data.source=el", "data.target=ka")
LABELS = ("data.text=text", "data.label=label")
HEADER = ("el", "ka")


def appended(path: Path, data: bytes) -> Path:
    pairs_file(path)
    path.write_bytes(path.read_bytes() + data)
    return path


def raw(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def aligned(folder: Path) -> None:
    for side, count in (("el", 60), ("ka", 57)):
        write_table(folder / f"x.{side}", [[side]] * count)


def parquet(path: Path, **columns: object) -> None:
    pq.write_table(pa.table(columns), path)


def corrupted(path: Path) -> None:
    """A file whose first page is overwritten, after its header."""
    parquet(path, el=[f"α{i}" for i in range(4000)], ka=[f"ა{i}" for i in range(4000)])
    data = bytearray(path.read_bytes())
    data[200:240] = b"x" * 40
    path.write_bytes(data)


def words_alone(path: Path) -> None:
    """A tokeniser of one word that has no token for the others."""
    Tokenizer(WordLevel({"a": 0})).save(str(path))


def two_labelled(folder: Path) -> None:
    labels_file(folder / "x.csv", ["a", "b"])
    write_table(folder / "v.csv", [("text", "label"), ("one", "a"), ("two", "c")], ",")


# What is written, the overrides to read it, and what is said.
HOSTILE: dict[str, tuple[Callable[[Path], object], tuple[str, ...], str]] = {
    "empty": (lambda d: raw(d / "x.tsv", b""), PAIRS, r"x.tsv must have rows with text; it is empty"),
    "header alone": (
        lambda d: write_table(d / "x.tsv", [HEADER]), PAIRS, r"x.tsv must have rows with text; it has none"
    ),
    "one line": (
        lambda d: write_table(d / "x.tsv", [HEADER, ("α", "ა")]), PAIRS,
        r"x.tsv must have at least 10 different texts to train on and hold out; got 1",
    ),
    "unequal line counts": (
        aligned, ("data.path=[x.el,x.ka]",), r"x.el has 60 lines and .*x.ka has 57; they must have equally many"
    ),
    "missing column": (
        lambda d: pairs_file(d / "x.tsv"), ("data.source=el", "data.target=en"),
        r"x.tsv has no column en; its columns are el, ka",
    ),
    "missing column of parquet": (
        lambda d: parquet(d / "x.parquet", el=["α"], en=["a"]), ("data.path=x.parquet", *PAIRS),
        r"x.parquet has no column ka; its columns are el, en",
    ),
    "wrong delimiter": (
        lambda d: pairs_file(d / "x.tsv", delimiter=";"), PAIRS,
        r"x.tsv has no column el; its only column is el;ka; set data.delimiter",
    ),
    "row with a field too many": (
        lambda d: appended(d / "x.tsv", b"a\tb\tc\n"), PAIRS, r"x.tsv, row 61 has 3 fields where the header has 2"
    ),
    "column twice": (
        lambda d: write_table(d / "x.tsv", [("el", "el"), *pairs()]), PAIRS, r"x.tsv has two columns named 'el'"
    ),
    "broken UTF-8": (
        lambda d: appended(d / "x.tsv", b"ab\xff\tb\n"), PAIRS, r"x.tsv, line 62 is not UTF-8 at byte \d+; save"
    ),
    "UTF-16": (lambda d: raw(d / "x.tsv", "el\tka\n".encode("utf-16")), PAIRS, r"x.tsv is in UTF-16; save it as UTF-8"),
    "compressed": (
        lambda d: raw(d / "x.tsv", gzip.compress(b"el\tka\n")), PAIRS, r"x.tsv is compressed with gzip; unpack it"
    ),
    "zip archive": (
        lambda d: raw(d / "x.csv", b"PK\x03\x04\0\n"), ("data.path=x.csv", *LABELS), r"x.csv is compressed with zip"
    ),
    "NUL byte": (
        lambda d: appended(d / "x.tsv", b"a\0\tb\n"), PAIRS, r"x.tsv, line 62 has a NUL character at byte \d+; remove"
    ),
    "NUL in JSON": (
        lambda d: raw(d / "x.jsonl", b'{"el": "a\\u0000", "ka": "b"}\n'), ("data.path=x.jsonl", *PAIRS),
        r"x.jsonl, row 1: el has a NUL character; remove it",
    ),
    "half a surrogate": (
        lambda d: raw(d / "x.jsonl", b'{"el": "a", "ka": "\\ud800"}\n'), ("data.path=x.jsonl", *PAIRS),
        r"x.jsonl, row 1: ka has half of a surrogate pair",
    ),
    "a line of 10 MB": (
        lambda d: appended(d / "x.tsv", b"x" * 10_000_000 + b"\ty\n"), PAIRS,
        f"x.tsv, line 62 is longer than {LONGEST_LINE:,} bytes",
    ),
    "a text of 10 MB": (
        lambda d: parquet(d / "x.parquet", el=["x" * 10_000_000], ka=["y"]), ("data.path=x.parquet", *PAIRS),
        r"x.parquet, row 1: el must have at most 1,000,000 characters; got 10,000,000",
    ),
    "a million empty strings": (
        lambda d: raw(d / "x.tsv", b"el\tka\n" + b"\t\n" * 1_000_000), PAIRS,
        r"x.tsv must have rows with text; 1,000,000 of its 1,000,000 are empty",
    ),
    "one class": (
        lambda d: labels_file(d / "x.csv", ["a"]), ("data.path=x.csv", *LABELS),
        r"x.csv must have at least two classes; every label is a",
    ),
    "unseen label": (
        two_labelled, ("data.path=x.csv", "data.valid=v.csv", *LABELS),
        r"v.csv, row 2: label c does not occur in the training part",
    ),
    "decimal labels": (
        lambda d: labels_file(d / "x.csv", ["1", "0.5"]), ("data.path=x.csv", *LABELS),
        r"x.csv, row 2: data.label must be a column of classes, text or whole numbers; got 0.5",
    ),
    "floats as labels": (
        lambda d: parquet(d / "x.parquet", text=["a", "b"], label=[1.0, 2.0]), ("data.path=x.parquet", *LABELS),
        r"x.parquet, row 1: data.label must be a column of classes, text or whole numbers; got 1.0",
    ),
    "a class per row": (
        lambda d: labels_file(d / "x.csv", [f"l{i}" for i in range(60)]), ("data.path=x.csv", *LABELS),
        r"x.csv has \d+ different labels in 60 rows; data.label must be a column of classes",
    ),
    "numbers as text": (
        lambda d: parquet(d / "x.parquet", text=[1, 2], label=["a", "b"]), ("data.path=x.parquet", *LABELS),
        r"x.parquet, row 1: text must be text; got 1 \(int\)",
    ),
    "source equal to target": (
        lambda d: pairs_file(d / "x.tsv"), ("data.source=el", "data.target=el"),
        r"data.source and data.target must differ; got el twice",
    ),
    "huge vocabulary": (
        lambda d: write_table(d / "x.tsv", [HEADER, *((chr(0x4E00 + i),) * 2 for i in range(9000))]),
        (*PAIRS, "data.tokens=words", "data.vocabulary=1000"),
        r"data.vocabulary=1000 leaves \d+% of the training part unknown; raise it, or set data.tokens=byte_pair",
    ),
    "everything too long": (
        lambda d: pairs_file(d / "x.tsv"), (*PAIRS, "data.tokens=characters", "data.longest=5"),
        r"data.longest=5 leaves no example in train; raise it, or set data.overlong=cut",
    ),
    "open quotation mark": (
        lambda d: appended(d / "x.tsv", b'"a\tb\n'), PAIRS, r"x.tsv, line 62 cannot be read .*; close its quotation"
    ),
    "broken JSON": (
        lambda d: raw(d / "x.jsonl", b'{"el": "a", "ka": "b"}\n{oops\n'), ("data.path=x.jsonl", *PAIRS),
        r"x.jsonl, row 2 is not valid JSON",
    ),
    "JSON list": (
        lambda d: raw(d / "x.json", b"[1, 2]\n"), ("data.path=x.json", *PAIRS), r"x.json, row 1 must be a JSON object"
    ),
    "no parquet": (
        lambda d: raw(d / "x.parquet", b"PAR1"), ("data.path=x.parquet", *PAIRS),
        r"x.parquet cannot be read as a parquet file",
    ),
    "directory": (
        lambda d: (d / "sub").mkdir(), ("data.path=sub", *PAIRS), r"data.path must be a file, or a folder with a file"
    ),
    "directory for a split": (
        lambda d: pairs_file(d / "x.tsv"), ("data.valid=.", *PAIRS), r"data.valid must be a file; .* is a folder"
    ),
    "damaged saved folder": (
        lambda d: raw(d / "dataset_info.json", b"{"), ("data.path=.", *PAIRS), r"cannot be read as a folder that"
    ),
    "pipe": (
        lambda d: os.mkfifo(d / "x.tsv"), PAIRS, r"data.path must be an existing file or folder; got x.tsv"
    ),
    "a number for a path": (
        lambda d: (d / "2024").mkdir(), ("data.path=2024", *PAIRS),
        r"data.path must be a path, or a list of two; got 2024; write a number in quotes, as in 'data.path=\"2024\"'",
    ),
    "a number for a split": (
        lambda d: pairs_file(d / "x.tsv"), ("data.valid=5", *PAIRS),
        r"data.valid must be a path, or a list of two; got 5",
    ),
    "two files for one split": (
        lambda d: [pairs_file(d / f"{name}.tsv") for name in ("train", "valid", "dev")], ("data.path=.", *PAIRS),
        r"must have one file for valid; it has valid.tsv and dev.tsv",
    ),
    "columns of two files": (
        aligned, ("data.path=[x.el,x.ka]", "data.text=text"), r"data.text and data.label are columns of one file"
    ),
    "two characters between fields": (
        lambda d: pairs_file(d / "x.tsv"), (*PAIRS, "data.delimiter='||'"),
        r"data.delimiter must be one character; got \|\|",
    ),
    "line ends of old Macs": (
        lambda d: raw(d / "x.tsv", b"el\tka\ra\tb\r"), PAIRS, r"x.tsv, line 1 cannot be read .*; end lines with \\n"
    ),
    "corrupt page of parquet": (
        lambda d: corrupted(d / "x.parquet"), ("data.path=x.parquet", *PAIRS), r"x.parquet cannot be read as a parquet"
    ),
    "tokeniser without <unk>": (
        lambda d: (pairs_file(d / "x.tsv"), words_alone(d / "t.json")), (*PAIRS, "data.tokens=t.json"),
        r"data.tokens cannot encode all texts \(.*UNK",
    ),
    "missing file": (
        lambda d: None, ("data.path=y.tsv", *PAIRS), r"data.path must be an existing file or folder; got y.tsv"
    ),
    "no file": (lambda d: None, ('data.path=""', *PAIRS), r"data.path must name a file or folder, for example"),
    "no columns": (lambda d: pairs_file(d / "x.tsv"), (), r"must name the columns to read; got none of them"),
    "one column of two": (
        lambda d: pairs_file(d / "x.tsv"), ("data.source=el",), r"must name the columns to read; got data.source=el"
    ),
    "unknown format": (
        lambda d: pairs_file(d / "x.tsv"), (*PAIRS, "data.format=xml"),
        r"data.format must be one of csv, tsv, jsonl, parquet, text; got xml",
    ),
    "vocabulary below the alphabet": (
        lambda d: pairs_file(d / "x.tsv"), (*PAIRS, "data.vocabulary=100"),
        r"data.vocabulary must be at least 260 with tokens=byte_pair; got 100",
    ),
    "unknown treatment": (
        lambda d: pairs_file(d / "x.tsv"), (*PAIRS, "data.overlong=keep"), r"data.overlong must be drop or cut; got"
    ),
}  # fmt: skip


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working directory, and a cache of its own."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("NORMEXP_RESULTS", raising=False)
    monkeypatch.setenv("NORMEXP_CACHE", str(tmp_path / "cache"))
    return folder


def sweep(*overrides):
    return CliRunner().invoke(app, ["sweep", "data=files", *overrides], catch_exceptions=False)


def assert_refused(result, message, folder):
    assert result.exit_code == 2
    assert re.search(message, result.stderr), result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (folder / "results").exists()
    left = [path.name for path in (folder.parent / "cache").glob("*")]
    assert [name for name in left if not name.endswith(".lock")] == []


@pytest.mark.slow
@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files_get_one_sentence(case, here):
    write, overrides, message = HOSTILE[case]
    write(here)
    path = () if any(word.startswith("data.path") for word in overrides) else ("data.path=x.tsv",)
    assert_refused(sweep(*path, *overrides), message, here)


@pytest.mark.slow
def test_no_read_permission(here, monkeypatch):
    path = pairs_file(here / "x.tsv")
    path.chmod(0)
    if os.access(path, os.R_OK):  # the superuser may read everything

        def refuse(*_):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("normexp.data.contents._content", refuse)
    message = r"data.path must be a file that can be read; got .*x.tsv \(Permission denied\)"
    assert_refused(sweep("data.path=x.tsv", *PAIRS), message, here)


@pytest.mark.slow
def test_full_disk_while_caching_and_again_with_space(here, monkeypatch):
    """A limit on the size of files stands in for a full disk: the same error, in the middle of a file."""
    resource = pytest.importorskip("resource")
    pairs_file(here / "x.tsv", 400)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9000, hard))
    try:
        result = sweep("data.path=x.tsv", *PAIRS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert_refused(result, r"prepared data cannot be written to .*free some space", here)
    show = CliRunner().invoke(app, ["show", "data=files", "data.path=x.tsv", *PAIRS], catch_exceptions=False)
    assert show.exit_code == 0
    assert "train 320 (400 read)" in show.stdout


@pytest.mark.slow
def test_a_task_that_the_columns_are_not_for(here):
    pairs_file(here / "x.tsv")
    result = sweep("data.path=x.tsv", *PAIRS, "task=classification")
    assert result.exit_code == 2
    assert "data=files is for task=translation; it cannot be used with task=classification" in result.stderr


@pytest.mark.slow
def test_a_number_where_text_belongs_is_found_late_too(here):
    rows = [{"el": el, "ka": ka} for el, ka in pairs(5000)] + [{"el": 5, "ka": "x"}]
    (here / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert_refused(sweep("data.path=x.jsonl", *PAIRS), r"x.jsonl, row 5001: el must be text; got 5 \(int\)", here)
