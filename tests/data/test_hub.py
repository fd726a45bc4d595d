"""Data from the Hub: read from a stand-in that speaks its protocol, by the client that people have."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from normexp.config.compose import Composer
from normexp.config.schema import configs_folder
from normexp.data.columns import Columns, task_of
from normexp.data.commits import NAME
from normexp.errors import ConfigError
from normexp.records.folder import RunFolder
from tests.support.forked import Command, forking
from tests.support.hub import Repository, parquet, running, variables_of
from tests.support.runs import environment, runs

COMPOSER = Composer("train")
READY = [name for name in COMPOSER.options("data") if COMPOSER.choice("data", name).target == "normexp.data.hub.hub"]
TINY = (
    "depth=1",
    "steps=2",
    "model.width=16",
    "model.heads=2",
    "model.feed_forward=16",
    "data.tokens=words",
)
LANGUAGES = "data.source=translation.en data.target=translation.de"
COLUMNS = "data.source=en data.target=de"
WORDS = ["red", "green", "blue", "small", "large", "round", "old", "new", "table", "chair", "lamp", "street", "stone"]

CARD = b"""---
configs:
- config_name: de-en
  data_files:
  - split: train
    path: de-en/train-*
  - split: validation
    path: de-en/validation-*
- config_name: fr-en
  data_files:
  - split: train
    path: fr-en/train-*
---
"""
CLASSES = b"""---
dataset_info:
  features:
  - name: text
    dtype: string
  - name: label
    dtype:
      class_label:
        names:
          '0': cold
          '1': warm
---
"""


def phrases(count: int, seed: int = 0) -> list[str]:
    random = Random(seed)
    return [" ".join(random.choices(WORDS, k=random.randint(2, 6))) for _ in range(count)]


def pairs(count: int, seed: int = 0) -> list[dict[str, dict[str, str]]]:
    return [{"translation": {"en": text, "de": text[::-1]}} for text in phrases(count, seed)]


def lines(rows: list[dict[str, object]]) -> bytes:
    return "\n".join(map(json.dumps, rows)).encode()


FLAT = lines([row["translation"] for row in pairs(300)])
REPOSITORIES = {
    "lab/nested": {
        "README.md": CARD,
        "de-en/train-0.parquet": parquet(pairs(300)),
        "de-en/validation-0.parquet": parquet(pairs(40, seed=1)),
        "fr-en/train-0.parquet": parquet(pairs(300)),
    },
    "lab/flat": {"train.jsonl": FLAT, "val.jsonl": FLAT[: FLAT.find(b"\n", 3000)]},
    "lab/weather": {
        "README.md": CLASSES,
        "train.jsonl": lines([{"text": text, "label": i % 2} for i, text in enumerate(phrases(300))]),
        "test.jsonl": lines([{"text": text, "label": i % 2} for i, text in enumerate(phrases(40, seed=1))]),
    },
    "lab/prose": {"train.csv": "\n".join(["text", *phrases(400)]).encode()},
    "lab/card": {"README.md": b"# A card without data\n"},
    "lab/script": {"script.py": b"raise SystemExit('this was run')", "README.md": b"# A loading script\n"},
    "lab/damaged": {"train.parquet": b"PAR1 and no more" * 30},
}


@pytest.fixture
def hub():
    repositories = {name: Repository(dict(files)) for name, files in REPOSITORIES.items()}
    repositories["lab/script"] = Repository(
        dict(REPOSITORIES["lab/script"]), converted={"de-en/train/0000.parquet": parquet(pairs(300))}
    )
    repositories["lab/private"] = Repository({"train.jsonl": FLAT}, access="private", token="hf_right")
    repositories["lab/gated"] = Repository({"train.jsonl": FLAT}, access="gated", token="hf_right")
    repositories["lab/lost"] = Repository({"train.jsonl": FLAT}, drops=1000)
    repositories["lab/shaky"] = Repository({"train.jsonl": FLAT}, drops=1)
    with running(repositories) as server:
        yield server


@pytest.fixture(scope="module")
def command() -> Iterator[Command]:
    with forking() as found:
        yield found


@pytest.fixture
def run(hub, command, tmp_path, monkeypatch):
    """Runs a command on data=hub in a folder of its own, with fresh caches; returns the finished process."""

    def start(name: str, words: str, address: str = hub.url, folder: str = ".", **variables: str):
        env = environment() | variables_of(address, tmp_path) | variables
        (tmp_path / folder).mkdir(exist_ok=True)
        return command(name, "data=hub", *TINY, *words.split(), cwd=tmp_path / folder, env=env)

    for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    return start


def only_run(folder: Path) -> RunFolder:
    (found,) = runs(folder / "results").values()
    return found


TRAINS = [
    ("translation", f"data.path=lab/nested data.config=de-en {LANGUAGES} record.sentences=2"),
    ("classification", "data.path=lab/weather data.text=text data.label=label"),
    ("language_modelling", "data.path=lab/prose data.text=text"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("task", "words"), TRAINS)
def test_trains_and_then_again_offline_from_the_cache(task, words, hub, run, tmp_path):
    done = run("train", words)
    assert done.returncode == 0, done.stderr
    first = only_run(tmp_path)
    assert first.config.task.name == task
    known = first.provenance[-1]
    commit = hub.repositories[first.config.data.options["path"]].commit
    assert known["data"]["origin"]["commit"] == commit
    assert first.config.data.options["revision"] == commit  # workers read what was planned

    asked = len(hub.log)
    again = run("train", f"{words} --offline", folder="again")
    assert again.returncode == 0, again.stderr
    assert len(hub.log) == asked
    second = only_run(tmp_path / "again")
    assert second.provenance[-1]["data_sha256"] == known["data_sha256"]
    assert second.path.name == first.path.name


@pytest.mark.slow
def test_names_of_classes_and_given_splits_are_kept(run):
    done = run("show", "data.path=lab/weather data.text=text data.label=label")
    assert done.returncode == 0, done.stderr
    assert "2 classes" in done.stdout
    assert "test 40" in done.stdout


@pytest.mark.slow
def test_conversion_by_the_hub_replaces_a_script(hub, run):
    done = run("show", f"data.path=lab/script data.revision=refs/convert/parquet data.subfolder=de-en {LANGUAGES}")
    assert done.returncode == 0, done.stderr
    commit, _ = hub.repositories["lab/script"].at("refs/convert/parquet")
    assert f"commit: {commit}" in done.stdout


@pytest.mark.slow
def test_connection_lost_once_is_taken_up_again(run):
    done = run("show", f"data.path=lab/shaky {COLUMNS}")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("path", ["lab/private", "lab/gated"])
def test_token_opens_what_is_private_or_gated(path, run):
    done = run("show", f"data.path={path} {COLUMNS}", HF_TOKEN="hf_right")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_cap_reads_the_first_rows_and_little_more(hub, run):
    random = Random(0)
    rows = [{"en": random.randbytes(300).hex(), "de": str(i)} for i in range(42_000)]
    shards = {"train-0.parquet": parquet(rows[:40_000]), "train-1.parquet": parquet(rows[40_000:])}
    hub.repositories["lab/large"] = Repository(shards)
    done = run("show", f"data.path=lab/large {COLUMNS} data.cap=400 data.overlong=cut")
    assert done.returncode == 0, done.stderr
    assert "train 320 (400 read" in done.stdout
    first, other = (hub.sent(name) for name in ("train-0.parquet", "train-1.parquet"))
    assert 0 < first < len(shards["train-0.parquet"]) / 2
    assert other == 0


@pytest.mark.slow
def test_new_commit_is_a_new_run_and_a_pinned_one_is_not(hub, run, tmp_path):
    words = f"data.path=lab/flat {COLUMNS} steps=0 variant=pre_ln"
    first = hub.repositories["lab/flat"].commit
    assert run("train", words).returncode == 0
    hub.repositories["lab/flat"] = Repository({"train.jsonl": lines([pair["translation"] for pair in pairs(300, 9)])})
    assert run("train", words).returncode == 0
    names = [path.parent.name for path in tmp_path.glob("results/*/*/status.json")]
    assert len(names) == 2

    pinned = run("train", f"{words} data.revision={first} --offline", folder="pinned")
    assert pinned.returncode == 0, pinned.stderr
    assert only_run(tmp_path / "pinned").path.name in names


REFUSED = [
    ("", "data.path must be the name of a dataset on the Hub, such as owner/name; got nothing"),
    ("data.path=./here", "data.path must be the name of a dataset on the Hub, such as owner/name; got ./here"),
    ("data.path=lab/nothing", "data.path=lab/nothing does not exist on the Hub, or is private: check the name, or log"),
    ("data.path=lab/private", "data.path=lab/private does not exist on the Hub, or is private: check the name, or log"),
    ("data.path=lab/gated", "data.path=lab/gated is gated: ask for access on its page, then log in with"),
    ("data.path=lab/flat data.revision=v9", "data.revision=v9 does not exist in lab/flat"),
    ("data.path=lab/card", "lab/card has no data files that can be read (CSV, JSON lines, Parquet, text)"),
    ("data.path=lab/flat data.subfolder=x", "folder x of lab/flat has no data files that can be read"),
    ("data.path=lab/script", "data.path=lab/script is a loading script, and code from the Hub is never run"),
    ("data.path=lab/damaged", "lab/damaged could not be read from the Hub (ArrowInvalid: Parquet magic bytes not foun"),
    ("data.path=lab/lost", "lab/lost could not be read from the Hub (RemoteProtocolError: peer closed connection"),
    ("data.path=lab/nested", "data.config must be one of de-en, fr-en, the configurations of lab/nested; got none"),
    ("data.path=lab/nested data.config=x", "data.config must be one of de-en, fr-en, the configurations of lab/nested"),
    (
        "data.path=lab/flat data.splits.train=all",
        "data.splits.train must be one of the splits there are; got all, but ",
    ),
    ("data.path=lab/flat data.splits.valid=val", "data.splits must name train, and may name valid and test; got valid"),
    ("data.path=lab/flat data.target=fr", "lab/flat, split train has no column fr; its columns are en, de"),
    ("data.path=lab/flat data.splits=val", "data.splits must name train, and may name valid and test; got val"),
    ("data.path=lab/flat data.cap=-1", "data.cap must be at least 0, which reads everything; got -1"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("words", "sentence"), REFUSED)
def test_refused_with_one_sentence_and_nothing_written(words, sentence, run, tmp_path):
    columns = " ".join(word for word in COLUMNS.split() if f"{word.partition('=')[0]}=" not in words)
    done = run("train", f"{columns} {words}")
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(f"error: {sentence}")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "results").exists()
    assert not list(tmp_path.glob("cache/*/*"))


NOWHERE = ["http://127.0.0.1:9", "http://nowhere.invalid"]  # refused, and unknown


@pytest.mark.slow
@pytest.mark.parametrize("address", NOWHERE)
def test_without_a_network_there_is_one_sentence(address, run, tmp_path):
    done = run("train", f"data.path=lab/flat {COLUMNS}", address)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith(
        "error: lab/flat is not in the cache of this machine, and the Hub cannot be reached (ConnectError); run it"
    )
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
def test_what_was_read_once_needs_no_network(run):
    words = f"data.path=lab/flat {COLUMNS}"
    assert run("show", words).returncode == 0
    assert run("show", words, NOWHERE[0]).returncode == 0
    other = run("show", f"{words} data.tokens=characters", NOWHERE[0])  # tokenised anew, from the same rows
    assert other.returncode == 0, other.stderr


@pytest.mark.slow
@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"])
def test_offline_by_environment(variable, hub, run):
    done = run("train", f"data.path=lab/flat {COLUMNS}", **{variable: "1"})
    assert done.returncode == 2
    assert "the Hub is not asked, because this run is offline" in done.stderr
    assert hub.log == []


@pytest.mark.parametrize("name", READY)
def test_ready_config_says_what_it_was_checked_against(name):
    """Its task, the page of the dataset, and how far both were checked, so that nothing is taken on trust."""
    choice = COMPOSER.choice("data", name)
    assert choice.factory.keywords == choice.options  # every option exists and has the right type
    text = (configs_folder() / "data" / f"{name}.yaml").read_text()
    columns = {key: choice.options[key] for key in ("source", "target", "text", "label")}
    if name == "hub":
        with pytest.raises(ConfigError, match="must name the columns"):
            Columns(**columns)
        return
    assert f"task={Columns(**columns).task}." in text.replace("\n# ", " ")
    assert NAME.fullmatch(choice.options["path"])
    assert f"# Page: {choice.options['path']}" in text
    assert "at commit" in text or "unverified" in text


@pytest.mark.slow
def test_commands_of_the_guide_compose():
    text = (configs_folder() / "README.md").read_text().partition("## Data from the Hub")[2].partition("\n## ")[0]
    commands = [shlex.split(line)[2:] for line in text.splitlines() if line.startswith("normexp ")]
    assert len(commands) == 3
    for words in commands:
        data = COMPOSER.compose([word.replace("data.", "++data.") for word in words if word.startswith("data")]).data
        assert NAME.fullmatch(data.options["path"])
        assert task_of(data.options)
    listed = set(re.findall(r"`(\w+)`", text.partition("Ready:")[2].partition("Each YAML")[0]))
    assert listed == set(READY) - {"hub"}
