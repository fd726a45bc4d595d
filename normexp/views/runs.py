"""The runs in a folder as one data frame: their config, their results and their paths."""

import json
import os
from collections.abc import Hashable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from normexp.config.schema import ignored_keys
from normexp.errors import ConfigError
from normexp.records.folder import FILES, NO_RUNS, TABLE_FILES, RunFolder, is_current
from normexp.records.intact import HOPELESS, check_intact
from normexp.records.process import is_stopped, what_continues
from normexp.records.reading import Damaged, plain, read_sweep, read_yaml, visible
from normexp.records.tables import SCHEMAS, read_table

# Keys that do not change what a run computes, by the schema or by their names in older formats. tokens and flops are no
# part of its identity either, but say how long it is.
HOUSEKEEPING = (
    *(key for key in ignored_keys() if key not in ("tokens", "flops")),
    *("launcher", "jobs", "console", "hydra", "threads", "device"),
)
STATUS = (
    *("state", "outcome", "final_loss", "valid_loss", "token_accuracy", "accuracy", "permuted_loss"),
    *("bleu", "chrf", "parameters", "diverged_at", "first_to_go"),
    *("step", "loss", "seconds", "attempts", "error"),
    *("tokens_per_step", "flops_per_token", "tokens_per_second"),
)
TABLES = {name: tuple(schema.names) for name, schema in SCHEMAS.items()}
DEEPEST = 12  # levels of folders that are searched for runs
# Sections of configs that are flat already, by key and identity: the reader shares those that many runs have in common.
# The section itself is kept with them, so that no other one gets its identity.
Flattened = dict[tuple[str, int], tuple[Any, dict[str, Hashable]]]
REPAIR = "run the sweep again to repair it, or normexp results --repair"


def load_runs(folder: Path | str) -> pd.DataFrame:
    """One row per run found in `folder` or below it, in the order of its sweep.

    A run is a folder with config.yaml and status.json, or with one of them and another of a run's files. Columns: the
    config keys, flattened with dots, where a group has the name of its choice (`variant`, not `variant.name`); the
    fields of status.json, with the baselines as `baseline.unigram` and so on; `folder`, the path of the run. Raises
    ConfigError if there is no run. Whatever is wrong with a run's files makes its state `damaged`, with the reason as
    its error. Text from files has no control characters here.

    Of a sweep, these are the runs of its last command. Runs from before a variant or a default was edited stay on
    disk, but are left out, unless `folder` is that of the run: they would look like another seed of the new ones.
    """
    known: Flattened = {}
    frame = pd.DataFrame([_row(run, known) for run in in_order(Path(folder))])
    for column in STATUS:
        if column not in frame:
            frame[column] = None
    return frame


def in_order(folder: Path) -> list[Path]:
    """The run folders at or below a folder, in the order of their sweeps. Raises ConfigError if none counts."""
    found = list(find_runs(folder))
    if not found:
        raise ConfigError(f"no run in {folder}: a run is a folder with config.yaml and status.json")
    if found == [folder]:
        return found  # whichever command it is of
    by_sweep: dict[Path, list[Path]] = {}
    for run in sorted(found):
        by_sweep.setdefault(run.parent, []).append(run)
    ordered = [run for sweep, runs in by_sweep.items() for run in _in_order(sweep, runs)]
    if not ordered:
        raise ConfigError(f"no run in {folder} is of the last command of its sweep; name the folder of a run")
    return ordered


def find_runs(folder: Path, depth: int = 0) -> Iterator[Path]:
    """The run folders at or below a folder. Links to folders are not followed."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    names = {entry.name for entry in entries}
    if {"config.yaml", "status.json"} & names and len(names.intersection(FILES)) > 1:
        yield folder
        return
    for entry in entries:
        hidden = entry.name.startswith(".") or entry.name in NO_RUNS
        if not hidden and depth < DEEPEST and entry.is_dir(follow_symlinks=False):
            yield from find_runs(Path(entry.path), depth + 1)


def undamaged(frame: pd.DataFrame) -> pd.DataFrame:
    """The runs without the damaged ones, whose settings or tables cannot be read."""
    sound = frame["state"] != "damaged"
    return frame if sound.all() else frame[sound]  # no copy of a large table


def swept_keys(frame: pd.DataFrame) -> list[str]:
    """The keys by which these runs differ: those in sweep.json, else every config key that varies.

    A nested key that another key determines (`model.encoder_depth` by `depth`, an option of a variant by its name) is
    left out. Damaged runs do not count.
    """
    sweeps = [_sweep(Path(parent)) for parent in dict.fromkeys(_parents(frame))]
    declared = list(dict.fromkeys(key for sweep in sweeps for key in sweep.get("swept", ())))
    varying = _varying(undamaged(frame))
    if all("swept" in sweep for sweep in sweeps):
        if len(sweeps) == 1:
            return [key for key in declared if key in frame]
        return [key for key in declared if key in varying] + [key for key in varying if key not in declared]
    return varying


def split_sweeps(frame: pd.DataFrame) -> dict[Path, pd.DataFrame]:
    """The runs of each sweep, by its folder; runs outside a sweep are together, under their common parent."""
    parents = pd.Series(_parents(frame), index=frame.index)
    is_sweep = parents.map({parent: bool(_sweep(Path(parent))) for parent in parents.unique()})
    parts = {
        Path(str(parent)): part.reset_index(drop=True)
        for parent, part in frame[is_sweep].groupby(parents[is_sweep], sort=False)
    }
    loose = frame[~is_sweep]
    if len(loose):
        parts[Path(os.path.commonpath(list(parents[~is_sweep])))] = loose.reset_index(drop=True)
    return parts


def load_table(
    frame: pd.DataFrame,
    table: str,
    filters: Sequence[tuple[str, str, Any]] | None = None,
    keys: Sequence[str] = (),
) -> pd.DataFrame:
    """The runs' tables of this name (see TABLES) as one, with the swept keys, `state` and `folder` joined.

    filters: pyarrow filters such as [("statistic", "==", "nll")], applied while reading. keys: further keys to join,
    swept or not. Runs that have not written the table yet, and damaged ones, are left out.
    """
    keys = list(dict.fromkeys([*swept_keys(frame), *(key for key in keys if key in frame), "state", "folder"]))
    parts = []
    for row in undamaged(frame)[keys].to_dict("records"):
        path = Path(row["folder"]) / f"{table}.parquet"
        with suppress(Damaged):  # a run that has not written it, or whose damage load_runs has named
            part = read_table(path, filters)
            # The table's own columns win: a swept key may share a name with one of them.
            parts.append(part.assign(**{str(key): value for key, value in row.items() if key not in part}))
    parts = [part for part in parts if len(part)]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=[*TABLES[table], *keys])


def _in_order(sweep: Path, runs: list[Path]) -> list[Path]:
    names = _sweep(sweep).get("runs")
    if names is None:
        return runs
    places = {name: place for place, name in enumerate(names)}
    return sorted((run for run in runs if run.name in places), key=lambda run: places[run.name])


def _sweep(folder: Path) -> dict[str, list[str]]:
    """The lists of names in sweep.json; {} where there is none or it cannot be used."""
    about = read_sweep(folder)
    about.setdefault("runs", about.get("cells"))  # its name in an older format
    lists = {key: about.get(key) for key in ("swept", "runs")}
    return {key: [*names] for key, names in lists.items() if names is not None and _are_texts(names)}


def _are_texts(names: Any) -> bool:
    return isinstance(names, list) and all(isinstance(name, str) for name in names)


def _parents(frame: pd.DataFrame) -> list[str]:
    return [str(Path(folder).parent) for folder in frame["folder"]]


def _row(run: Path, known: Flattened) -> dict[str, Any]:
    status = RunFolder(run).status
    if is_stopped(status):
        status |= {"state": "stopped", "error": what_continues(status)}
    config: dict[str, Any] = {}
    try:
        values = read_yaml(run / "config.yaml")
        values.setdefault("addon", None)  # runs from before there were add-ons do not say that they have none
        for key, value in values.items():
            config |= _flat_section(key, value, known)
        tables = TABLE_FILES if status["state"] == "completed" else ()
        check_intact(run, ["config.yaml", *tables], known=True)
    except Damaged as error:
        hopeless = HOPELESS in str(status.get("error"))  # --repair has been here, and says why
        status |= {"state": "damaged", "error": status["error"] if hopeless else str(error)}
    if status["state"] == "damaged":
        status["error"] += "" if HOPELESS in status["error"] else f"; {REPAIR}"
        status |= dict.fromkeys(("outcome", "final_loss", "valid_loss", "token_accuracy", "accuracy", "bleu"))
    elif not is_current(status):
        status["error"] = f"recorded in the older format {status['format']}; run the sweep again"
    if all(status.get(key) for key in ("step", "tokens_per_step", "seconds")):
        status["tokens_per_second"] = status["step"] * status["tokens_per_step"] / status["seconds"]
    baselines = status.pop("baselines", None) or {}
    outcome = {**status, **{f"baseline.{name}": value for name, value in baselines.items()}}
    outcome = {visible(str(key)): _cell(value) for key, value in outcome.items()} | {"folder": str(run)}
    return {**{f"config.{key}" if key in outcome else key: value for key, value in config.items()}, **outcome}


def _cell(value: Any) -> Any:
    """A value as one cell of the frame: a number, true or false, None, or text."""
    if isinstance(value, int | float | str | None):
        return plain(value)
    return plain(json.dumps(value, default=str))


def _flat_section(key: str, value: Any, known: Flattened) -> dict[str, Hashable]:
    """The flat keys of one top-level key of a config, where the names of the add-ons are one value."""
    if not isinstance(value, dict):
        return {"addon": "no_addon"} if key == "addon" else _flat({key: value})
    found = known.get((key, id(value)))
    if not found:
        whole = {"name": "+".join(map(str, value)) or "no_addon", **value} if key == "addon" else value
        found = known[key, id(value)] = value, _flat({key: whole})
    return found[1]


def _flat(config: dict[str, Any], prefix: str = "") -> dict[str, Hashable]:
    flat: dict[str, Hashable] = {}
    for key, value in ((visible(str(key)), value) for key, value in config.items()):
        if isinstance(value, dict):
            inner = dict(value)
            if "name" in inner:
                flat[prefix + key] = _cell(inner.pop("name"))
            flat.update(_flat(inner, f"{prefix}{key}."))
        else:
            flat[prefix + key] = _cell(value)
    return flat


def _varying(frame: pd.DataFrame) -> list[str]:
    outcome = {*STATUS, "folder", "heartbeat", "pid", "host", "measured", "format"}
    keys = [
        key
        for key in map(str, frame.columns)
        if key not in outcome
        and not key.startswith(("baseline.", "config."))
        and key.split(".")[0] not in HOUSEKEEPING
        and frame[key].nunique(dropna=False) > 1
    ]
    kept = [key for key in keys if "." not in key]
    for key in keys:
        if "." in key and not any(_follows(frame, key, other) for other in kept):
            kept.append(key)
    first = [key for key in ("depth", "variant") if key in kept]
    last = [key for key in ("seed",) if key in kept]
    return first + [key for key in kept if key not in first + last] + last


def _follows(frame: pd.DataFrame, key: str, other: str) -> bool:
    return bool((frame.groupby(other, dropna=False)[key].nunique(dropna=False) <= 1).all())
