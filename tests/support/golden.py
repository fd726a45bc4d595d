"""Golden numbers: what a tiny model of a variant computes in float64, step by step, in every task.

Shared by scripts/golden.py, which writes them, and tests/variants/test_every_variant.py, which compares.
"""

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import datasets
import torch

from normexp.config.compose import Composer
from normexp.config.schema import GENERATING, Config
from normexp.data.corpus import Corpus
from normexp.data.vocabulary import EOS, SPECIAL, Vocabulary
from normexp.errors import ConfigError
from normexp.training.trainer import Trainer
from tests.support.configs import choice_of, config_of, with_values
from tests.support.steps import take_step

FOLDER = Path(__file__).parents[1] / "golden"
DEFAULT = "post_ln"
STEPS = 4
RUN = {"seed": 0, "lr": 3e-3, "warmup": "2", "steps": STEPS}
# Depths apart, so that a constant made from the wrong one shows.
MODEL = {"width": 16, "heads": 2, "feed_forward": 32, "encoder_depth": 3, "decoder_depth": 2}
TRAINING = {"batch_tokens": 120, "device": "cpu", "clip": 0.0}
TOLERANCE = 1e-6  # relative: what processors and versions of torch may differ by; float64 leaves far less
NOISE = 1e-12  # absolute: of a gradient that is zero but for rounding

Numbers = dict[str, Any]  # by task: parameters, loss of every step, gradient_norm of every site, first and last


def command(variant: str) -> str:
    """What a person types to write them."""
    return f"python scripts/golden.py {variant}"


@cache
def resolved(variant: str, task: str, config_dirs: tuple[str, ...], more: tuple[str, ...]) -> Config:
    """What Hydra composes, once for all tests in a process, because it takes longer than the training.

    The YAMLs of the package's variants set no other key, so they share a composition.
    """
    if config_dirs or variant == DEFAULT:
        return config_of(f"variant={variant}", f"task={task}", *more, config_dirs=config_dirs)
    return replace(resolved(DEFAULT, task, (), more), variant=choice_of("variant", variant))


def tiny_run(variant: str, task: str, *more: str, config_dirs: Sequence[str] = ()) -> Config:
    """The config of a tiny run, as the command line composes it, with sizes that the data's defaults do not touch."""
    return with_values(resolved(variant, task, tuple(config_dirs), more), **RUN, model=MODEL, training=TRAINING)


@cache
def corpus(task: str) -> Corpus:
    """Digits to write backwards, or to tell the first of. Fixed here, for CLDR's phrases change with Babel."""
    digits = [[len(SPECIAL) + (i * i + i * j + 3 * j) % 10 for j in range(3 + i % 4)] for i in range(40)]
    writes = task in GENERATING
    rows = {
        "source": [[*row, EOS] for row in digits],
        "target": [[*reversed(row), EOS] for row in digits] if writes else [row[0] - len(SPECIAL) for row in digits],
    }
    names = tuple("0123456789")
    return Corpus(
        task="translation" if writes else "classification",
        splits=datasets.DatasetDict(train=datasets.Dataset.from_dict(rows)),
        vocabulary=Vocabulary(SPECIAL + names),
        classes=() if writes else names,
        baselines={},
        digest="",
    )


@contextmanager
def precision(dtype: torch.dtype) -> Iterator[None]:
    """Everything is drawn and computed in it, by one thread, so that sums have one order.

    Drawn, too: a normal draw in float32 differs in its last bits from one processor to the next.
    """
    before = torch.get_default_dtype(), torch.get_num_threads()
    torch.set_default_dtype(dtype)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_default_dtype(before[0])
        torch.set_num_threads(before[1])


def trainer_of(config: Config) -> Trainer:
    """A trainer on the fixed corpus, calibrated as training would."""
    trainer = Trainer(config, corpus(config.task.name))
    trainer.calibrate()
    return trainer


def gradient_norms(model: Any) -> dict[str, float]:
    """√Σ g² of every site."""
    sites = [site for stack in model.stacks for site in stack.sites]
    grads = {site.name: [p.grad.flatten() for p in site.parameters() if p.grad is not None] for site in sites}
    return {name: torch.cat(each).norm().item() if each else 0.0 for name, each in grads.items()}


@precision(torch.float64)
def numbers(variant: str, config_dirs: Sequence[str] = (), device: str = "cpu") -> Numbers:
    """Raises ConfigError where a variant cannot be built or does not stay finite."""
    found = {}
    for task in Composer("train", config_dirs).options("task"):
        config = tiny_run(variant, task, config_dirs=config_dirs)
        trainer = trainer_of(with_values(config, training={"device": device}))
        seen = [
            take_step(trainer, batch, lambda context: gradient_norms(context.model))
            for batch in islice(trainer.data(), STEPS)
        ]
        first, last = seen[0][1], seen[-1][1]
        found[task] = {
            "parameters": sum(p.numel() for p in trainer.model.parameters()),
            "loss": [loss.item() for loss, _ in seen],
            "gradient_norm": {site: {"first": first[site], "last": last[site]} for site in first},
        }
    for name, number in flat(found).items():
        if not math.isfinite(number):
            raise ConfigError(f"variant={variant}: {' '.join(name)} is {number}, and golden numbers are finite")
    return found


def flat(found: Any, name: tuple[str, ...] = ()) -> dict[tuple[str, ...], float]:
    """Every number by its address: (translation, loss, 3)."""
    if not isinstance(found, dict | list):
        return {name: found}
    pairs = found.items() if isinstance(found, dict) else enumerate(found, start=1)
    return {at: number for key, value in pairs for at, number in flat(value, (*name, str(key))).items()}


def differences(kept: Numbers, now: Numbers) -> list[str]:
    """What is no longer as it was, old → new: a line per task and kind of number, with the one that changed most."""
    old, new = flat(kept), flat(now)
    changed: dict[tuple[str, ...], dict[tuple[str, ...], float]] = {}
    for name in sorted({**old, **new}):
        before, after = old.get(name, math.inf), new.get(name, math.inf)
        if not math.isclose(before, after, rel_tol=TOLERANCE, abs_tol=NOISE):
            change = abs(after - before) / abs(before) if before else math.inf
            changed.setdefault(name[:2], {})[name] = change if math.isfinite(change) else math.inf
    lines = []
    for names in changed.values():
        most = max(names, key=names.__getitem__)
        of = f" (the most of {len(names)})" if len(names) > 1 else ""
        lines.append(f"{' '.join(most)}: {old.get(most, 'nothing')} → {new.get(most, 'nothing')}{of}")
    return lines


def path(variant: str, folder: Path = FOLDER) -> Path:
    return folder / f"{variant}.json"


def write(variant: str, found: Numbers, folder: Path = FOLDER) -> None:
    """Keep them as text, a line per task."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = (f" {json.dumps(task)}: {json.dumps(found[task], sort_keys=True)}" for task in sorted(found))
    path(variant, folder).write_text("{\n" + ",\n".join(lines) + "\n}\n")


def read(variant: str, folder: Path = FOLDER) -> Numbers | None:
    """What was kept; None where nothing was."""
    return json.loads(path(variant, folder).read_text()) if path(variant, folder).is_file() else None
