"""The user's own files, in every format, from the file to examples."""

import json
from collections import Counter

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from normexp.data.clean import ROWS
from normexp.data.columns import task_of
from normexp.data.contents import digest
from normexp.data.files import files
from normexp.data.vocabulary import EOS
from normexp.errors import ConfigError
from tests.support.files import labels_file, pairs, pairs_file, write_table

SPLITS = ("train", "valid", "test")


def texts(corpus, column="source_text"):
    return {name: set(corpus.splits[name][column]) for name in SPLITS}


def written(tmp_path, kind):
    """The same pairs in one of the formats, and the options to read them."""
    rows, two = pairs(), {"source": "el", "target": "ka"}
    path = tmp_path / f"pairs.{kind}"
    if kind in ("csv", "tsv"):
        pairs_file(path, delimiter="," if kind == "csv" else "\t")
    elif kind == "jsonl":
        path.write_text("".join(json.dumps({"el": el, "ka": ka}) + "\n" for el, ka in rows))
    elif kind == "parquet":
        pq.write_table(pa.table({"el": [el for el, _ in rows], "ka": [ka for _, ka in rows]}), path)
    elif kind == "saved":
        datasets.Dataset.from_dict({"el": [el for el, _ in rows], "ka": [ka for _, ka in rows]}).save_to_disk(path)
    else:
        for side, name in enumerate(two.values()):
            write_table(tmp_path / f"pairs.{name}", [[row[side]] for row in rows])
        return {"path": [str(tmp_path / "pairs.el"), str(tmp_path / "pairs.ka")]}
    return {"path": str(path), **two}


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet", "saved", "aligned"])
def test_every_format_gives_the_same_corpus(kind, tmp_path):
    corpus = files(**written(tmp_path, kind), tokens="characters")
    first = files(**written(tmp_path, "tsv"), tokens="characters")
    assert corpus.digest == first.digest
    assert {name: len(split) for name, split in corpus.splits.items()} == {"train": 48, "valid": 6, "test": 6}
    for split in SPLITS:
        for example, row in zip(corpus.examples(split), corpus.splits[split], strict=True):
            assert (row["source_text"], row["target_text"]) in pairs()
            assert corpus.vocabulary.decode(example.target) == row["target_text"]
            assert example.source[-1] == example.target[-1] == EOS


@pytest.mark.parametrize("tokens", ["byte_pair", "words", "characters", "bytes"])
def test_baselines_are_stated_for_every_tokeniser(tokens, tmp_path):
    corpus = files(**written(tmp_path, "tsv"), tokens=tokens)
    for task in ("translation", "language_modelling"):
        baselines = corpus.baselines_for(task)
        assert 0 < baselines["blind"] <= baselines["unigram"]
        assert baselines["bar"] > 0
    assert "n-gram" in corpus.methods["blind"]


def test_no_text_is_both_trained_on_and_held_out(tmp_path):
    """Two readings of a source, and the same source in other case and spacing, stay together."""
    rows = pairs(100)
    rows += [(f" {el.upper()}  ", ka + "!") for el, ka in rows]
    corpus = files(str(write_table(tmp_path / "x.tsv", [("el", "ka"), *rows])), "el", "ka")
    folded = {name: {" ".join(text.split()).casefold() for text in found} for name, found in texts(corpus).items()}
    assert [len(folded[name]) for name in SPLITS] == [80, 10, 10]
    assert len(set.union(*folded.values())) == 100


def test_what_is_held_out_does_not_depend_on_the_order(tmp_path):
    rows = pairs(100)
    one = files(str(write_table(tmp_path / "a.tsv", [("el", "ka"), *rows])), "el", "ka")
    two = files(str(write_table(tmp_path / "b.tsv", [("el", "ka"), *reversed(rows)])), "el", "ka")
    assert texts(one) == texts(two)
    assert texts(one) != texts(files(str(tmp_path / "a.tsv"), "el", "ka", seed=1))


def test_given_splits_stay_and_train_lacks_their_texts(tmp_path):
    rows = pairs(100)
    for name, part in (("train", rows[:90]), ("dev", rows[85:95]), ("test", rows[95:])):
        write_table(tmp_path / f"{name}.csv", [("el", "ka"), *part], ",")
    corpus = files(str(tmp_path), "el", "ka")
    assert texts(corpus) == {name: {el for el, _ in part} for name, part in
                             (("train", rows[:85]), ("valid", rows[85:95]), ("test", rows[95:]))}  # fmt: skip
    assert corpus.summary["splits"]["train"]["dropped"] == {"also in valid or test": 5}
    alone = files(str(tmp_path / "train.csv"), "el", "ka", valid=str(tmp_path / "dev.csv"))
    assert texts(alone)["valid"] == texts(corpus)["valid"]
    assert len(alone.splits["test"]) == 8
    assert not texts(alone)["test"] & (texts(alone)["train"] | texts(alone)["valid"])


def test_pairs_of_files_in_a_folder_are_found_by_their_suffixes(tmp_path):
    for name, part in (("train", pairs(60)), ("valid", pairs(90)[60:])):
        for side, language in enumerate(("el", "ka")):
            write_table(tmp_path / f"{name}.{language}", [[row[side]] for row in part])
    corpus = files(str(tmp_path), "el", "ka")
    assert [len(corpus.splits[name]) for name in SPLITS] == [54, 30, 6]


def test_long_examples_are_dropped_or_cut_and_counted(tmp_path):
    rows = [*pairs(), ("μακρύ " * 50 + "α", "გრძელი"), ("β", "გრძელი " * 50)]
    path = str(write_table(tmp_path / "x.tsv", [("el", "ka"), *rows]))
    options = {"source": "el", "target": "ka", "tokens": "words", "longest": 10}
    dropped, cut = files(path, **options), files(path, **options, overlong="cut")
    counts = [Counter() for _ in range(2)]
    for corpus, count in zip((dropped, cut), counts, strict=True):
        for split in corpus.summary["splits"].values():
            count.update({"rows": split["rows"], "long": split["dropped"].get("too long", 0), "cut": split["cut"]})
    assert counts == [Counter(rows=60, long=2, cut=0), Counter(rows=62, long=0, cut=2)]
    assert max(int(cut.examples(name).lengths.max()) for name in SPLITS) == 10
    assert all(e.source[-1] == e.target[-1] == EOS for name in SPLITS for e in cut.examples(name))


def test_running_text_is_cut_into_windows_without_loss(tmp_path):
    lines = [el for el, _ in pairs(40)]
    path = tmp_path / "book.txt"
    path.write_text("\n\n".join(lines))
    corpus = files(str(path), tokens="characters", longest=8)
    assert corpus.task == "language_modelling"
    found = "".join(corpus.splits["train"]["text"])
    train = corpus.examples("train")
    assert "".join(corpus.vocabulary.decode(e.target) for e in train) == found
    assert sum(e.target[-1] == EOS for e in train) == 32
    assert sum(line in found for line in lines) == 32
    assert corpus.summary["splits"]["train"]["dropped"] == {"empty": 39}
    assert {"unigram", "target_5gram", "blind", "floor"} <= set(corpus.baselines)


def test_nulls_of_a_parquet_file_are_dropped_and_counted(tmp_path):
    el, ka = ([*side, None, "x", None, "  "] for side in zip(*pairs(), strict=True))
    ka[-3:] = [None, None, "y"]
    pq.write_table(pa.table({"el": el, "ka": ka, "other": [[i] for i in range(64)]}), tmp_path / "x.parquet")
    corpus = files(str(tmp_path / "x.parquet"), "el", "ka")
    assert corpus.summary["splits"]["train"]["dropped"] == {"empty": 4}
    assert corpus.summary["splits"]["train"]["read"] == 64


def test_nested_columns_are_reached_by_a_dot(tmp_path):
    rows = [{"translation": {"el": el, "ka": ka}} for el, ka in pairs()]
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    corpus = files(str(tmp_path / "x.jsonl"), "translation.el", "translation.ka")
    assert corpus.digest == files(**written(tmp_path, "tsv")).digest
    with pytest.raises(ConfigError, match=r"no column translation.en; its columns are translation.el, translation.ka"):
        files(str(tmp_path / "x.jsonl"), "translation.en", "translation.ka")


def test_rows_without_an_inner_column_are_empty(tmp_path):
    """One between others, and one that is alone in the last batch."""
    rows = [{"translation": {"el": el, "ka": ka}} for el, ka in pairs(ROWS - 1)]
    rows = [*rows[:5], {"translation": {"el": "α"}}, *rows[5:], {"translation": None}]
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    corpus = files(str(tmp_path / "x.jsonl"), "translation.el", "translation.ka", tokens="characters")
    assert corpus.summary["splits"]["train"]["dropped"]["empty"] == 2
    assert corpus.summary["splits"]["train"]["read"] == ROWS + 1


def test_files_of_their_own_go_with_a_saved_folder(tmp_path):
    rows = pairs(100)
    both = {"train": rows[:80], "validation": rows[80:90]}
    parts = {name: {"el": [el for el, _ in part], "ka": [ka for _, ka in part]} for name, part in both.items()}
    datasets.DatasetDict({name: datasets.Dataset.from_dict(part) for name, part in parts.items()}).save_to_disk(
        tmp_path / "saved"
    )
    own = write_table(tmp_path / "own.tsv", [("el", "ka"), *rows[90:]])
    assert texts(files(str(tmp_path / "saved"), "el", "ka"))["valid"] == {el for el, _ in rows[80:90]}
    assert texts(files(str(tmp_path / "saved"), "el", "ka", valid=str(own)))["valid"] == {el for el, _ in rows[90:]}


def test_quotes_of_a_split_alone_count_in_the_cache(tmp_path):
    rows = pairs(60)
    (tmp_path / "x.jsonl").write_text("".join(json.dumps({"el": el, "ka": ka}) + "\n" for el, ka in rows[:50]))
    valid = write_table(tmp_path / "v.csv", [("el", "ka"), *((f'"{el}"', f'"{ka}"') for el, ka in rows[50:])], ",")
    with_marks, without = (
        files(str(tmp_path / "x.jsonl"), "el", "ka", valid=str(valid), quotes=quotes) for quotes in (False, True)
    )
    assert texts(without)["valid"] == {el for el, _ in rows[50:]}
    assert texts(with_marks)["valid"] == {f'"{el}"' for el, _ in rows[50:]}


def test_a_long_field_of_a_table_is_read(tmp_path):
    path = write_table(tmp_path / "x.tsv", [("el", "ka"), *pairs(), ("α " * 100_000, "β")])
    splits = files(str(path), "el", "ka").summary["splits"].values()
    assert [each["dropped"] for each in splits if each["dropped"]] == [{"too long": 1}]


def test_a_folder_counts_as_what_is_read_of_it(tmp_path):
    for name in ("train", "valid"):
        pairs_file(tmp_path / f"{name}.tsv")
    before = digest("path", str(tmp_path), "")
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "train.tsv").write_text("x")
    (tmp_path / "README").write_text("x")
    assert digest("path", str(tmp_path), "") == before
    pairs_file(tmp_path / "valid.tsv", count=61)
    assert digest("path", str(tmp_path), "") != before


@pytest.mark.parametrize(
    ("path", "task"),
    [
        ("book.md", "language_modelling"),
        (["book.txt"], "language_modelling"),
        (["a.en", "a.de"], "translation"),
        ("table.csv", ""),
        ("folder", ""),
    ],
)
def test_the_task_follows_from_the_path(path, task):
    assert task_of({"path": path}) == task


def test_labels_are_stripped(tmp_path):
    corpus = files(str(labels_file(tmp_path / "x.csv", ["a", " a", "b", " "])), text="text", label="label")
    assert corpus.classes == ("a", "b")
    assert corpus.summary["splits"]["train"]["dropped"] == {"no label": 15}


def test_a_label_of_left_out_rows_alone_is_no_class(tmp_path):
    """The only text of class c is in valid, too, so train lacks it; the message names the row of valid."""
    path = labels_file(tmp_path / "x.csv", ["a", "b"])
    path.write_text(path.read_text() + "same,c\n")
    valid = write_table(tmp_path / "v.csv", [("text", "label"), ("one", "a"), ("same", "b")], ",")
    assert files(str(path), text="text", label="label", valid=str(valid)).classes == ("a", "b")
    valid.write_text(valid.read_text().replace("same,b", "same,c"))
    with pytest.raises(ConfigError, match=r"v.csv, row 2: label c does not occur in the training part"):
        files(str(path), text="text", label="label", valid=str(valid))


def test_a_folder_of_text_and_a_file_without_a_suffix_are_for_language_modelling(tmp_path):
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "train.txt").write_text("one\n")
    (tmp_path / "book").write_text("one\n")
    assert task_of({"path": str(folder)}) == task_of({"path": "book", "folder": str(tmp_path)}) == "language_modelling"
    (folder / "train.txt").rename(folder / "train.csv")
    assert task_of({"path": str(folder)}) == task_of({"path": "nowhere"}) == ""


def test_the_entropy_of_a_users_targets_is_unknown(tmp_path):
    corpus = files(**written(tmp_path, "tsv"))
    assert corpus.baselines_for("language_modelling")["floor"] == 0
    assert corpus.methods_for("language_modelling")["floor"] == "unknown, so it is 0"


def test_classes_are_in_order_and_the_prior_is_theirs(tmp_path):
    corpus = files(str(labels_file(tmp_path / "x.csv", ["10", "9", "10", "2"])), text="text", label="label")
    assert corpus.classes == ("2", "9", "10")
    rows = [row for split in corpus.splits.values() for row in split]
    assert Counter(corpus.classes[row["target"]] for row in rows) == {"10": 30, "9": 15, "2": 15}
    share = np.bincount(corpus.splits["train"]["target"]) / len(corpus.splits["train"])
    assert corpus.baselines["class_prior"] == pytest.approx(-(share * np.log(share)).sum())
    assert corpus.baselines_for("classification")["blind"] == corpus.baselines["class_prior"]


@pytest.mark.slow
def test_a_class_with_one_example_is_trained_on(tmp_path):
    """Whatever is held out, the only example of a class is not."""
    path = labels_file(tmp_path / "x.csv", ["a", "b"])
    path.write_text(path.read_text() + "rare 0,rare\n")
    for seed in range(12):
        corpus = files(str(path), text="text", label="label", seed=seed)
        assert "rare 0" in corpus.splits["train"]["text"]


def test_names_of_classes_of_a_saved_folder_are_kept(tmp_path):
    features = datasets.Features(text=datasets.Value("string"), label=datasets.ClassLabel(names=["neg", "pos"]))
    rows = {"text": [el for el, _ in pairs()], "label": [i % 2 for i in range(60)]}
    datasets.DatasetDict(train=datasets.Dataset.from_dict(rows, features=features)).save_to_disk(tmp_path / "saved")
    corpus = files(str(tmp_path / "saved"), text="text", label="label")
    assert corpus.classes == ("neg", "pos")


def test_prepared_data_is_read_from_the_cache(tmp_path, monkeypatch):
    path = pairs_file(tmp_path / "x.tsv")
    first = files(str(path), "el", "ka")
    monkeypatch.delattr("normexp.data.files.Separated.iter")  # it is not read again
    again = files("x.tsv", "el", "ka", folder=str(tmp_path))
    assert (again.digest, again.baselines, again.summary) == (first.digest, first.baselines, first.summary)


def test_a_special_token_in_a_text_is_text(tmp_path):
    rows = [(f"{el} <eos> <pad>", ka) for el, ka in pairs()]
    corpus = files(str(write_table(tmp_path / "x.tsv", [("el", "ka"), *rows])), "el", "ka")
    example = corpus.examples("test")[0]
    assert example.source.count(EOS) == 1
    assert corpus.vocabulary.decode(example.source) == corpus.splits["test"][0]["source_text"]
