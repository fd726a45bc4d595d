"""The cells of a sweep: which runs a command means, and under which name each is known."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from normexp.config.choice import user_sources
from normexp.config.schema import GROUPS, NO_IDENTITY, depths
from normexp.records.folder import RunFolder

FORMAT = 1  # raise it when a change of ours alters what a config means: an old result is then never taken for a new
_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]+")


@dataclass(frozen=True, eq=False)
class Cell:
    """One combination: what the line says of it, the whole config, and the run folder's name."""

    overrides: tuple[str, ...]
    config: dict[str, Any]
    name: str


@dataclass(frozen=True)
class Sweep:
    """What a command means; nothing is started or written yet.

    line: the command's overrides; swept: its keys with several values. Runs of `normexp train` have no sweep around
    them: they lie side by side in one folder, and every one that is there counts.
    """

    name: str
    results: Path
    line: tuple[str, ...]
    swept: tuple[str, ...]
    cells: tuple[Cell, ...]

    @property
    def path(self) -> Path:
        return self.results / self.name

    def folder(self, cell: Cell) -> RunFolder:
        return RunFolder(self.path / cell.name)

    def create(self) -> None:
        """Write the sweep's own file and a pending folder for every cell that has none."""
        for cell in self.cells:
            self.folder(cell).create(cell.config)
        if not self.swept:
            return
        about = {"name": self.name, "overrides": self.line, "swept": self.swept}
        cells = {"cells": [cell.name for cell in self.cells]}
        (self.path / "sweep.json").write_text(json.dumps(about | cells, indent=1))


def identity(config: dict[str, Any]) -> str:
    """sha256 over all that can change the run's tables: the config, the user's own sources, our format number."""
    relevant = {key: value for key, value in config.items() if key not in NO_IDENTITY}
    text = json.dumps([FORMAT, relevant, user_sources(config)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def run_name(config: dict[str, Any], swept: Sequence[str]) -> str:
    """post_ln-depth06-seed0-1a2b3c4d: the swept values, readable and sortable, then the identity's first digits.

    Where nothing is swept, variant and depth stand in.
    """
    parts = [_part(key, _value(config, key)) for key in swept or ("variant", "depth")]
    return "-".join([*parts, identity(config)[:8]])


def sweep_name(line: Sequence[str], swept: Sequence[str], config: dict[str, Any]) -> str:
    """A name that is a function of the command's keys: the swept keys, then a digest of the whole line."""
    keys = sorted(text for text in line if not text.startswith(("hydra", "name=", "results=")))
    digest = hashlib.sha256(json.dumps([keys, config["config_dirs"]]).encode()).hexdigest()[:6]
    return "-".join([clean("-".join(swept)), config["task"]["name"], digest])


def clean(name: str) -> str:
    """The name with everything replaced that a shell, a URL or Hydra would read in its own way."""
    return _UNSAFE.sub("-", name.replace("%", "pct")).strip("-.")


def cost(config: dict[str, Any]) -> float:
    """Relative cost of a run: steps × tokens × multiply-adds of its layers.

    A decoder layer that reads an encoder has one attention more than an encoder layer.
    """
    size = config["model"]
    encoder, decoder = depths(config)
    attention = 4 * size["width"] ** 2
    others = 2 * size["width"] * (size["feed_forward"] + size["persistent"])
    attentions = 2 if encoder else 1  # in a decoder's layer
    layers = encoder * (attention + others) + decoder * (attentions * attention + others)
    return float(max(1, config["steps"]) * config["training"]["batch_tokens"] * layers)


def _value(config: dict[str, Any], key: str) -> Any:
    value: Any = config
    for part in key.split("."):
        value = value[part]
    return value


def _part(key: str, value: Any) -> str:
    if key in GROUPS:
        return clean(str(value["name"]))
    number = f"{value:02d}" if isinstance(value, int) and not isinstance(value, bool) and key != "seed" else value
    return clean(f"{key.rpartition('.')[2]}{number}")
