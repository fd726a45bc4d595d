"""A corpus from the user's own files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets

from normexp.data.columns import Columns, Table
from normexp.data.contents import FORMATS, SAVED, SPLIT_NAMES, Paths, fingerprint, located
from normexp.data.corpus import Corpus
from normexp.data.prepare import Preparation, prepare
from normexp.data.readers import Aligned, JsonLines, Lines, Parquet, Separated
from normexp.errors import ConfigError


def files(
    path: str | Sequence[str],
    source: str = "",
    target: str = "",
    text: str = "",
    label: str = "",
    valid: str | Sequence[str] = "",
    test: str | Sequence[str] = "",
    format: str = "",
    delimiter: str = "",
    quotes: bool = True,
    tokens: str = "byte_pair",
    vocabulary: int = 4000,
    longest: int = 128,
    overlong: str = "",
    held_out: int = 1000,
    seed: int = 0,
    folder: str = "",
) -> Corpus:
    """Pairs of texts, texts with a label, or running text from your own files.

    path: a CSV, TSV, JSON lines or parquet file, plain text (a text a line), two plain-text files whose lines belong
        together, a folder with files named train, valid and test, or a folder that `datasets` saved.
    source, target: the columns of a translation; text and label those of a classification; text alone is modelled.
    valid, test: files of their own, where `path` is the training part. What is not given is cut off from train: a tenth
        of the different texts, `held_out` at most, and none that train has too.
    format: csv, tsv, jsonl, parquet or text, where the suffix does not say it. delimiter, quotes: of CSV and TSV.
    folder: where relative paths start.
    tokens, vocabulary, longest, overlong, held_out, seed: as in `Preparation`.

    Baselines: of a translation, n-grams counted on train and measured on valid, the best of them as `blind`; of a
    classification, the class prior; of language modelling, n-grams. The floor is unknown, so it is 0.

    Raises ConfigError, naming file and row, for what cannot be used.
    """
    splits = _located(path, valid, test, folder, (source, target))
    if format not in ("", *FORMATS.values()):
        raise ConfigError(f"data.format must be one of {', '.join(dict.fromkeys(FORMATS.values()))}; got {format}")
    kinds = {name: _kind(paths, format) for name, paths in splits.items()}
    kind = kinds["train"]
    if kind == "aligned" and (text or label):
        raise ConfigError("data.text and data.label are columns of one file; two files are a translation")
    delimiter = "\t" if delimiter == r"\t" else delimiter
    if len(delimiter) > 1:
        raise ConfigError(f"data.delimiter must be one character; got {delimiter}")
    if not (source or target or text or label):
        source, target = ("source", "target") if kind == "aligned" else ("", "")
        text = "text" if kind == "text" else ""
    columns = Columns(source, target, text, label)
    how = Preparation(tokens, vocabulary, longest, overlong, held_out, seed)
    held = {key: value for key, value in fingerprint(path, folder, valid, test).items() if key != "folder"}
    origin: dict[str, Any] = {"path": ", ".join(Path(each).name for each in _listed(path)), "sha256": held}
    origin |= {"format": kind} | (
        {"delimiter": delimiter, "quotes": quotes} if {"csv", "tsv"} & {*kinds.values()} else {}
    )

    def read() -> Mapping[str, Table]:
        saved = _saved(splits["train"][0]) if kind == "saved" else {}
        given = {name: paths for name, paths in splits.items() if kinds[name] != "saved"}
        return saved | {name: _table(paths, format, delimiter, quotes, columns) for name, paths in given.items()}

    return prepare(read, columns, how, origin, folder=folder)


def _listed(paths: Paths) -> list[str]:
    return [paths] if isinstance(paths, str) else [str(each) for each in paths]


Files = tuple[Path, ...]  # one, or two whose lines belong together


def _located(path: Paths, valid: Paths, test: Paths, folder: str, pair: tuple[str, str]) -> dict[str, Files]:
    """The files of each split that is given. pair: the columns source and target, which may be suffixes of files."""
    splits: dict[str, Files] = {}
    for key, name, paths in (("path", "train", path), ("valid", "valid", valid), ("test", "test", test)):
        if key != "path" and not paths:
            continue
        found = tuple(located(key, each, folder) for each in _listed(paths) or [""])
        if len(found) > 2:
            raise ConfigError(f"data.{key} must be one file, or two whose lines belong together; got {len(found)}")
        if key == "path" and len(found) == 1 and found[0].is_dir():
            splits |= _inside(found[0], pair)
            continue
        for each in found:
            if each.is_dir():
                raise ConfigError(f"data.{key} must be a file; {each} is a folder")
        splits[name] = found
    return splits


def _inside(folder: Path, pair: tuple[str, str]) -> dict[str, Files]:
    """The splits in a folder, by the names of the files."""
    if any((folder / name).is_file() for name in SAVED):
        return {"train": (folder,)}
    splits: dict[str, Files] = {}
    for own_name in ("train", "valid", "test", *SPLIT_NAMES):
        name = SPLIT_NAMES.get(own_name, own_name)
        two = tuple(folder / f"{own_name}.{language}" for language in pair if language)
        alone = [each for suffix in FORMATS if (each := folder / f"{own_name}.{suffix}").is_file()]
        found = [two] if len(two) == 2 and all(each.is_file() for each in two) else [(each,) for each in alone]
        found = [*filter(None, [splits.get(name)]), *found]
        if len(found) > 1:
            raise ConfigError(
                f"{folder} must have one file for {name}; it has {found[0][0].name} and {found[1][0].name}"
            )
        if found:
            splits[name] = found[0]
    if "train" not in splits:
        raise ConfigError(
            f"data.path must be a file, or a folder with a file such as train.tsv; {folder} has none of "
            f"{', '.join(f'train.{suffix}' for suffix in FORMATS)}"
        )
    return splits


def _kind(paths: Files, format: str) -> str:
    """The format of a split's files: one of FORMATS, aligned or saved."""
    if len(paths) == 2:
        return "aligned"
    if paths[0].is_dir():
        return "saved"
    return format or FORMATS.get(paths[0].suffix.lower().lstrip("."), "text")


def _table(paths: Files, format: str, delimiter: str, quotes: bool, columns: Columns) -> Table:
    kind = _kind(paths, format)
    if kind == "aligned":
        return Aligned(paths[0], paths[1], (columns.source, columns.target))
    path = paths[0]
    if not path.stat().st_size:
        raise ConfigError(f"{path} must have rows with text; it is empty")
    if kind in ("csv", "tsv"):
        return Separated(path, delimiter or ("\t" if kind == "tsv" else ","), quotes)
    if kind == "jsonl":
        return JsonLines(path)
    if kind == "parquet":
        return Parquet(path, tuple(name.partition(".")[0] for name in columns.named.values()))
    return Lines(path)


def _saved(folder: Path) -> dict[str, Table]:
    try:
        saved = datasets.load_from_disk(str(folder))
    except Exception as error:  # whatever the library meets in a damaged folder
        raise ConfigError(f"{folder} cannot be read as a folder that `datasets` saved ({error})") from error
    splits = saved if isinstance(saved, datasets.DatasetDict) else {"train": saved}
    return {SPLIT_NAMES.get(str(name), str(name)): table for name, table in splits.items()}
