"""From a stranger's file to a finished run, with what it recorded; a changed file is another run."""

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

import normexp
from normexp.cli import app
from normexp.config.identity import identity
from normexp.config.schema import from_dict
from normexp.errors import ConfigError
from normexp.records.folder import RunFolder
from normexp.sweep.plan import plan
from normexp.sweep.worker import execute
from tests.support.cli import in_process
from tests.support.files import labels_file, pairs, pairs_file, write_table
from tests.support.runs import started

TINY = ("depth=1", "steps=4", "model.width=16", "model.heads=2", "model.feed_forward=16", "training.device=cpu")
PAIRS = ("data=files", "data.path=x.tsv", "data.source=el", "data.target=ka")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NORMEXP_RESULTS", raising=False)
    return tmp_path


def trained(*overrides: str) -> RunFolder:
    """The folder of a run that was planned and trained in this process."""
    sweep = plan("train", [*TINY, *overrides])
    sweep.create()
    (folder,) = sweep.folders
    execute(folder.path)
    assert folder.status["state"] == "completed", folder.status
    return folder


def strangers_table(path: Path) -> None:
    """Greek and Georgian, a byte-order mark, quoted fields with tabs and line breaks, Windows line ends."""
    rows = [(f'"{el}\tκαι\n""{i}"""', f'"{ka}\t\r\n{i}"') for i, (el, ka) in enumerate(pairs())]
    write_table(path, [("el", "ka\r"), *((el, ka + "\r") for el, ka in rows)], start="\ufeff")


@pytest.mark.slow
@pytest.mark.parametrize("tokens", ["byte_pair", "characters", "words", "bytes"])
def test_a_strangers_table_trains(tokens, here):
    strangers_table(here / "x.tsv")
    folder = trained(*PAIRS, f"data.tokens={tokens}")
    assert folder.status["outcome"] in ("trained", "partial", "stuck")
    corpus = normexp.load(folder.path).corpus
    row = corpus.splits["train"][0]
    assert "\tκαι\n" in row["source_text"]
    assert '"' in row["source_text"]
    assert sum(map(len, corpus.splits.values())) == 60


@pytest.mark.slow
def test_a_parquet_file_with_nulls_trains(here):
    el, ka = zip(*pairs(), strict=True)
    pq.write_table(pa.table({"el": [None, *el], "ka": [*ka, None]}), here / "x.parquet")
    folder = trained("data=files", "data.path=x.parquet", "data.source=el", "data.target=ka")
    data = folder.provenance[0]["data"]
    assert data["splits"]["train"]["dropped"] == {"empty": 2}
    assert data["splits"]["train"]["read"] == 61
    assert data["origin"]["path"] == "x.parquet"
    assert data["origin"]["sha256"]["path"].startswith("parquet:")
    assert {"vocabulary", "kind"} <= set(data["tokens"])
    assert "n-gram" in data["methods"]["blind"]
    assert all(len(split["sha256"]) == 64 for split in data["splits"].values())


@pytest.mark.slow
def test_the_task_follows_from_the_columns(here):
    labels_file(here / "x.csv", ["a", "b"])
    (here / "book.txt").write_text("\n".join(el for el, _ in pairs()))
    classified = trained("data=files", "data.path=x.csv", "data.text=text", "data.label=label")
    assert classified.config.task.name == "classification"
    assert "accuracy" in classified.status
    modelled = trained("data=files", "data.path=book.txt")
    assert modelled.config.task.name == "language_modelling"
    assert modelled.status["baselines"]["target_5gram"] > 0
    pairs_file(here / "x.tsv")
    alone = plan("train", [*PAIRS, "task=language_modelling"])
    assert alone.runs[0].config.task.name == "language_modelling"  # the user's word comes first


@pytest.mark.slow
def test_show_says_what_became_of_the_file(here):
    write_table(here / "x.tsv", [("el", "ka"), *pairs(), ("", "x"), ("α " * 200, "β")])
    shown = CliRunner().invoke(app, ["show", *PAIRS], catch_exceptions=False).stdout
    assert "Data: train 48 (62 read; left out: 1 empty, 1 too long) · valid 6 · test 6" in " ".join(shown.split())
    assert "tokens (byte_pair)" in shown
    assert "blind: estimate: the best n-gram" in shown
    assert "path: x.tsv" in shown


def digest_of(*overrides: str) -> str:
    return identity(plan("train", [*TINY, *overrides]).runs[0].config)


@pytest.mark.slow
def test_a_changed_file_is_another_run_and_a_moved_one_is_not(here):
    pairs_file(here / "x.tsv")
    first = digest_of(*PAIRS)
    (here / "sub").mkdir()
    pairs_file(here / "sub" / "y.tsv")
    assert digest_of(*PAIRS) == first
    assert digest_of(*PAIRS, "data.path=sub/y.tsv") == first
    pairs_file(here / "x.tsv", 61)
    changed = digest_of(*PAIRS)
    assert changed != first
    write_table(here / "v.tsv", [("el", "ka"), *pairs(80)[61:]])
    assert digest_of(*PAIRS, "data.valid=v.tsv") not in (first, changed)


@pytest.mark.slow
def test_a_run_keeps_the_content_that_it_was_planned_with(here):
    pairs_file(here / "x.tsv")
    config = plan("train", [*TINY, *PAIRS]).runs[0].config
    stored = yaml.safe_load(yaml.safe_dump(normexp.config.schema.to_dict(config)))
    pairs_file(here / "x.tsv", 61)
    assert identity(from_dict(stored)) == identity(config)
    with pytest.raises(ConfigError, match=r"data.path has changed since the run was planned; start the same command"):
        normexp.data.corpus.load_corpus(config.data)


@pytest.mark.slow
def test_a_finished_run_is_loaded_from_another_folder(here, monkeypatch):
    pairs_file(here / "x.tsv")
    folder = trained(*PAIRS)
    (here / "elsewhere").mkdir()
    monkeypatch.chdir(here / "elsewhere")
    assert len(normexp.load(folder.path).corpus.examples("train")) == 48


@pytest.mark.slow
def test_a_thousand_runs_hash_the_file_once(here, monkeypatch):
    from normexp.data import contents

    pairs_file(here / "x.tsv")
    contents._content.cache_clear()
    assert len(plan("sweep", [*PAIRS, "variant=post_ln", "seed=range(1000)"]).runs) == 1000
    assert contents._content.cache_info().misses == 1


@pytest.mark.slow
def test_two_sweeps_at_once_on_a_cold_cache_agree(here, monkeypatch):
    pairs_file(here / "x.tsv", 3000)
    monkeypatch.setenv("NORMEXP_CACHE", str(here / "cold"))
    words = ("sweep", *PAIRS, *TINY, "variant=post_ln,pre_ln", "--jobs", "1")
    both = [started(*words, f"results={here / name}", cwd=here) for name in ("one", "two")]
    for process in both:
        _, errors = process.communicate(timeout=600)
        assert process.returncode == 0, errors
    digests, finals = [], []
    for name in ("one", "two"):
        paths = sorted((here / name).glob("*/*/provenance.json"))
        digests += [json.loads(path.read_text())[0]["data_sha256"] for path in paths]
        finals.append([json.loads((path.parent / "status.json").read_text())["final_loss"] for path in paths])
    assert len(digests) == 4
    assert len(set(digests)) == 1
    assert finals[0] == finals[1]
    assert [path.name for path in (here / "cold").iterdir() if path.suffix != ".lock"] == [
        path.name for path in (here / "cold").iterdir() if len(path.name) == 32
    ]


@pytest.mark.slow
@pytest.mark.usefixtures("svg_alone", "no_workers")
def test_one_command_is_all_that_is_needed(here):
    pairs_file(here / "pairs.tsv", 400)
    small = ("steps=4", "depth=1", "model.width=16", "model.feed_forward=16", "record.sentences=4")
    words = ("sweep", "data=files", "data.path=pairs.tsv", "data.source=el", "data.target=ka", *small)
    done = in_process(*words)
    assert done.exit_code == 0, done.stderr
    runs = pd.DataFrame(normexp.runs(here / "results"))
    assert set(runs["variant"]) == {"post_ln", "pre_ln", "no_residual"}
    assert set(runs["state"]) == {"completed"}
    assert in_process(*words).exit_code == 0  # again
