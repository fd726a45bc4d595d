"""normexp in Python: load a run, build a model, read tables. Import these names from `normexp`.

Where no folder is given, it is that of all results: NORMEXP_RESULTS, or results.
"""

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from normexp.config.choice import add_to_path
from normexp.config.identity import choices, user_sources
from normexp.config.schema import Config, results_folder
from normexp.data.batches import Batch, Batches
from normexp.data.corpus import Corpus, load_corpus
from normexp.data.splits import SPLITS
from normexp.errors import ConfigError
from normexp.model.build import Model
from normexp.records.folder import RunFolder, is_current
from normexp.records.reading import Damaged
from normexp.records.tables import SCHEMAS
from normexp.sweep.plan import plan
from normexp.training.evaluate import logits
from normexp.training.trainer import Trainer
from normexp.views import exports
from normexp.views.runs import load_runs, load_table
from normexp.views.shown import Shown, shown

if TYPE_CHECKING:
    import pandas as pd

TRUST = "pass trust=True, or --trust to `normexp sample`, to import from there"
_OWN = ("normexp.", "torch.optim.")  # what a run folder may name without the user's trust


@dataclass(frozen=True, eq=False)
class Loaded:
    """A run as objects. The model is in evaluation mode, on the CPU; status is what status.json holds."""

    config: Config
    corpus: Corpus
    model: Model
    status: dict[str, Any]

    def __repr__(self) -> str:
        return f"<run of {self.config.variant.name}, depth {self.config.depth}: {self.status.get('outcome')}>"

    def batches(self, split: str = "valid") -> Sequence[Batch]:
        """The batches of train, valid or test, in the order in which they are evaluated."""
        if split not in SPLITS:
            raise ConfigError(f"the split must be one of {', '.join(SPLITS)}; got {split}")
        examples = self.corpus.examples(split, self.config.task.name)
        return Batches(examples, self.config.training.batch_tokens).epoch(None)

    def logits(self, batch: Batch) -> Tensor:
        """What the model predicts for every label of a batch.   batch, target token, word  or  batch, class"""
        return logits(self.model, batch)


def load(run: str | Path, *, trust: bool = False) -> Loaded:
    """A finished run from its folder: config, corpus, and the model with its trained weights.

    trust: allow the import of classes from the user's own folders that the run names in `config_dirs`.
    Raises ConfigError if the folder holds no finished run, or names such folders without `trust`.
    """
    folder = RunFolder(Path(run))
    if not os.path.lexists(folder.path / "config.yaml"):
        raise ConfigError(f"{run} is not a run folder: it has no config.yaml")
    try:
        config = folder.config
    except Damaged as error:
        raise ConfigError(f"{run} is damaged: {error}; run its sweep again to repair it") from error
    folders = ", ".join(config.config_dirs)
    if config.config_dirs and not trust:
        raise ConfigError(f"{run} was trained with --config-dir {folders}; {TRUST}")
    status = folder.status
    if status["state"] == "damaged":
        raise ConfigError(f"{run} is damaged: {status['error']}; run its sweep again to repair it")
    if status["state"] != "completed":
        raise ConfigError(f"{run} must be a completed run; it is {status['state']}")
    if not is_current(status):
        raise ConfigError(f"{run} is of the older format {status['format']}; run its sweep again")
    if damage := folder.damage(config, status):
        raise ConfigError(f"{run} is damaged: {damage}; run its sweep again to repair it")
    foreign = [each.target for each in (*choices(config), *config.probes) if not each.target.startswith(_OWN)]
    if foreign and not trust:
        raise ConfigError(f"{run} uses {', '.join(foreign)}; {TRUST}")
    add_to_path(config.config_dirs)
    trained_by = [each.get("user_sources") for each in folder.provenance[-1:]]
    if config.config_dirs and trained_by and trained_by != [user_sources(config.config_dirs, choices(config))]:
        raise ConfigError(f"{run} was trained by other code than {folders} has now; run its sweep again")
    corpus = load_corpus(config.data)
    trainer = Trainer(_on_cpu(config), corpus)
    if folder.weights.is_file():
        try:
            trainer.model.load_state_dict(torch.load(folder.weights, map_location="cpu", weights_only=True))
        except Exception as error:  # cut short, or of another model
            raise ConfigError(
                f"{run} is damaged: {folder.weights.name} cannot be loaded; run its sweep again"
            ) from error
    else:
        trainer.calibrate()  # it was only measured, so its weights are the initial ones
    for stack in trainer.model.stacks:  # what changes with time and is in no buffer
        stack.on_step_begin(max(1, status.get("step") or 0))
    return Loaded(config, corpus, trainer.model.eval(), status)


def build(overrides: str | Sequence[str] = "", *, config_dirs: Sequence[str] = ()) -> Model:
    """An untrained model, in training mode, with its initial weights: `build("variant=pre_ln depth=6")`.

    overrides: as on the command line, in one text or as a list. Raises ConfigError as the command line does.
    """
    try:
        words = shlex.split(overrides) if isinstance(overrides, str) else list(overrides)
    except ValueError as error:
        raise ConfigError(f"{overrides} cannot be read: a quotation mark or a backslash has no end") from error
    folders = [config_dirs] if isinstance(config_dirs, str) else list(config_dirs)
    config = plan("train", words, config_dirs=folders).runs[0].config
    return Trainer(_on_cpu(config), load_corpus(config.data)).calibrate().model


def runs(folder: str | Path = "") -> "pd.DataFrame":
    """One row per run at or below a folder: its config, flattened with dots, and its results."""
    return load_runs(folder or results_folder())


def table(folder: str | Path, name: str) -> "pd.DataFrame":
    """All rows of one table of the runs at or below a folder, with variant, depth, seed and the swept keys joined.

    name: curves (step, split, statistic, value), layers (also stack, layer, site, parameter) or timing.
    """
    if name not in SCHEMAS:
        raise ConfigError(f"the table must be one of {', '.join(SCHEMAS)}; got {name}")
    return load_table(load_runs(folder), name, keys=("variant", "depth", "seed"))


def results(folder: str | Path = "") -> "pd.DataFrame":
    """What `normexp results` prints: one row per configuration, mean ± standard deviation over its seeds, as texts."""
    return exports.printed(load_runs(folder or results_folder()))


def latex(folder: str | Path = "") -> str:
    """The same table for LaTeX with booktabs."""
    return exports.latex(load_runs(folder or results_folder()))


def figures(folder: str | Path = "", style: str = "default") -> dict[str, Shown]:
    """The figures of the runs at or below a folder, by name. A notebook shows one that is the last value of a cell.

    style: default, or paper for a column's width without titles. `save(stem)` writes one, `caption` is its text.
    """
    return shown(folder or results_folder(), style)


def _on_cpu(config: Config) -> Config:
    """The config for a model on this machine's CPU, whatever device trained it."""
    return replace(config, training=replace(config.training, device="cpu", compile=False))
