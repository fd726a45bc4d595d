"""Synthetic run folders of a sweep, written without training."""

import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

BASELINES = {"unigram": 2.93, "position_only": 1.89, "target_bigram": 2.12}
ENDS = {"post_ln": {6: 0.30, 12: 1.20, 18: 1.93}, "pre_ln": {6: 0.20, 12: 0.25, 18: 0.31}}
CLASSES = {"post_ln": "PostLN", "pre_ln": "PreLN", "no_residual": "NoResidual"}
STEPS = 100


def write_run(folder: Path, task: str = "translation", state: str = "completed", **keys: object) -> Path:
    """Write one run folder; its tables depend only on depth, variant and seed."""
    depth, variant, seed = int(str(keys["depth"])), str(keys["variant"]), int(str(keys.get("seed", 0)))
    rng = np.random.default_rng([depth, seed, len(variant)])
    end = ENDS.get(variant, {}).get(depth, 1.95) + 0.02 * seed
    step = np.arange(1, STEPS + 1)
    nll = end + (4.0 - end) * np.exp(-step / 15) + 0.06 * rng.standard_normal(STEPS)
    diverged = keys.get("diverged_at")
    if diverged:
        nll[int(str(diverged)) - 1 :] = np.inf
    ran = step[:60] if state == "failed" else step
    curves = [pd.DataFrame({"step": ran, "split": "train", "statistic": "nll", "value": nll[: len(ran)]})]
    curves += [curves[0].assign(statistic="loss", value=curves[0]["value"] + 0.1)]
    curves += [curves[0].iloc[24::25].assign(split="valid", value=end + 0.05)]
    rows = [
        (at, stack, layer, site, parameter, "grad_norm", value)
        for at in (1, 50, 100)
        for stack in (("encoder", "decoder") if task == "translation" else ("encoder",))
        for layer in range(1, depth + 1)
        for site in keys.get("sites", ("attention", "feed_forward"))  # type: ignore[attr-defined]
        for parameter in ("", "branch.fc2.weight")
        for value in [_gradient(variant, stack, layer, depth, at, diverged) * (1 + 0.2 * rng.random())]
    ]
    columns = ["step", "stack", "layer", "site", "parameter", "statistic", "value"]
    config = {
        **{"depth": depth, "seed": seed, "lr": 1e-3, "warmup": "10%", "steps": STEPS, "name": "try"},
        **{key: keys[key] for key in ("lr", "warmup", "label_smoothing") if key in keys},
        "task": {"name": task},
        "model": {"name": "tiny", "width": 64, "encoder_depth": depth, "decoder_depth": depth},
        "variant": {"name": variant, "_target_": f"normexp.variants.{variant}.{CLASSES.get(variant, '')}"},
        "norm": {"name": "layer_norm", "eps": 1e-5},
        "init": {"name": keys.get("init", "xavier_uniform")},
        "data": {"name": "cldr_dates", "languages": ["en", "fr"]},
    }
    status: dict[str, object] = {"state": state, "step": len(ran), "loss": 1.0, "seconds": 3.0, "attempts": 1}
    status |= {"heartbeat": 1.7e9, "pid": 7, "host": "here", "error": None}
    if state == "completed":
        outcome = "diverged" if diverged else "stuck" if end > 1.89 else "partial" if end > 1 else "trained"
        status |= {"outcome": outcome, "final_loss": None if diverged else end, "valid_loss": end + 0.05}
        status |= {"parameters": 1000 * depth, "diverged_at": diverged, "permuted_loss": 3.0}
        status |= {"first_to_go": f"decoder.{depth:02d}.feed_forward" if diverged else None}
        translation = {"baselines": BASELINES, "token_accuracy": 0.9, "bleu": 80.0, "chrf": 90.0}
        status |= translation if task == "translation" else {"baselines": {"class_prior": 2.99}, "accuracy": 0.75}
    if state == "failed":
        status["error"] = "ValueError: no such thing"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "status.json").write_text(json.dumps(status))
    pd.concat(curves).to_parquet(folder / "curves.parquet", index=False)
    pd.DataFrame(rows, columns=columns).to_parquet(folder / "layers.parquet", index=False)
    return folder


def _gradient(variant: str, stack: str, layer: int, depth: int, step: int, diverged: object) -> float:
    above = depth - layer
    if diverged and step == 100:
        return float("nan") if layer > depth // 2 else 1e4
    if variant == "no_residual":
        return 0.0 if stack == "decoder" and above > 10 else 0.5 * 10.0 ** (-0.8 * above)
    if variant == "post_ln" and stack == "decoder":
        return 0.8 * 0.75**above
    return (0.3 if variant == "pre_ln" else 0.8) * (0.4 if step == 100 else 1.0) / (1 + 0.05 * layer)


def write_sweep(folder: Path, **grid: list[object]) -> Path:
    """Write a sweep over the grid's keys; run names have the format of normexp."""
    names = []
    for values in itertools.product(*grid.values()):
        keys = dict(zip(grid, values, strict=True))
        name = ",".join(f"{key}={value:02d}" if key == "depth" else f"{key}={value}" for key, value in keys.items())
        names.append(name + "-1a2b3c4d")
        write_run(folder / names[-1], **keys)  # type: ignore[arg-type]
    swept = {"name": folder.name, "swept": list(grid), "runs": names, "overrides": []}
    (folder / "sweep.json").write_text(json.dumps(swept))
    return folder


@pytest.fixture(scope="session")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Depths × variants × seeds; one run diverged, one failed, zeros in the gradients of no_residual."""
    folder = write_sweep(
        tmp_path_factory.mktemp("results") / "try",
        **{"depth": [6, 12, 18], "variant": ["post_ln", "pre_ln", "no_residual"], "seed": [0, 1]},
    )
    for name, keys in (
        (
            "depth=12,variant=post_ln,seed=1",
            {"depth": 12, "variant": "post_ln", "seed": 1, "diverged_at": 70},
        ),
        ("depth=18,variant=pre_ln,seed=1", {"depth": 18, "variant": "pre_ln", "seed": 1, "state": "failed"}),
    ):
        shutil.rmtree(folder / f"{name}-1a2b3c4d")
        write_run(folder / f"{name}-1a2b3c4d", **keys)  # type: ignore[arg-type]
    return folder


@pytest.fixture
def make_sweep(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes a sweep over the given grid into a new folder."""
    return lambda name="try", **grid: write_sweep(tmp_path / name, **grid)


@pytest.fixture
def make_run() -> Callable[..., Path]:
    """The function that writes one run folder."""
    return write_run


@pytest.fixture(scope="session")
def write_sweep_once() -> Callable[..., Path]:
    """The function that writes a sweep into a folder, for fixtures of longer scope."""
    return write_sweep
