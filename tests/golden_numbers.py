"""Golden numbers: what a tiny model of a variant computes in float64, step by step, in every mode."""

import json
from pathlib import Path
from typing import Any

import torch

from normexp.launch import Composer
from normexp.run import corpus_of
from normexp.schema import TASKS
from normexp.training.trainer import Trainer

FOLDER = Path(__file__).parent / "golden"
STEPS = 4
# Depths apart, so that a constant made from the wrong one shows; data small, so that all variants take seconds.
SIZES = ("steps=4", "warmup=2", "lr=1e-2", "model.width=16", "model.heads=2", "model.feed_forward=32")
DATA = ("data.seed=0", "training.batch_tokens=300", "training.device=cpu")
DEPTHS = {"encoder": "model.encoder_depth=3", "decoder": "model.decoder_depth=2"}
PAIRS = {"classification": "data.phrases=30"}


def task_line(task: str) -> list[str]:
    """The keys that make a tiny run of a task."""
    stacks = {"classification": ["encoder"], "language_modelling": ["decoder"]}.get(task, ["encoder", "decoder"])
    return [f"task={task}", *SIZES, *DATA, *(DEPTHS[s] for s in stacks), PAIRS.get(task, "data.pairs=200")]


def config_of(variant: str, task: str, composer: Composer, *more: str) -> dict[str, Any]:
    """The resolved config of a tiny run of a variant."""
    return composer.resolve([f"variant={variant}", *task_line(task), *more])


def trainer_of(config: dict[str, Any], dtype: torch.dtype = torch.float64) -> Trainer:
    """A trainer in a precision, calibrated as training would."""
    trainer = Trainer(config, corpus_of(config))
    trainer.model.to(dtype)
    trainer.calibrate()
    return trainer


def numbers(variant: str, config_dirs: list[str]) -> dict[str, dict[str, Any]]:
    """By task: parameters, the loss of every step, the gradient norm of every site at the last one."""
    torch.set_num_threads(1)
    composer, found = Composer("train", config_dirs), {}
    for task in TASKS:
        trainer = trainer_of(config_of(variant, task, composer))
        data = trainer.data()
        losses = [trainer.step(next(data))[0].item() for _ in range(STEPS)]
        sites = [site for stack in trainer.model.stacks for site in stack.sites]
        grads = {
            site.name: torch.stack([p.grad.norm() for p in site.parameters() if p.grad is not None]).norm().item()
            for site in sites
        }
        count = sum(p.numel() for p in trainer.model.parameters())
        found[task] = {"parameters": count, "loss": losses, "gradient_norm": grads}
    return found


def path(variant: str, folder: Path = FOLDER) -> Path:
    return folder / f"{variant}.json"


def write(variant: str, config_dirs: list[str], folder: Path = FOLDER) -> None:
    """Keep them as text, a line per number."""
    folder.mkdir(parents=True, exist_ok=True)
    path(variant, folder).write_text(json.dumps(numbers(variant, config_dirs), indent=1) + "\n")


def read(variant: str, folder: Path = FOLDER) -> dict[str, dict[str, Any]]:
    """Raises FileNotFoundError naming the command that writes them."""
    if not path(variant, folder).is_file():
        raise FileNotFoundError(f"variant={variant} has no golden numbers: python scripts/golden.py {variant}")
    return json.loads(path(variant, folder).read_text())
