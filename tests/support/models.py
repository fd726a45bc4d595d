"""Models for tests, their variant, norm or init as its YAML has it."""

from copy import deepcopy
from functools import cache
from typing import Any

from normexp.config.compose import Composer
from normexp.model.build import build
from tests.support.configs import small_config


@cache
def _composed(group: str, name: str) -> dict[str, Any]:
    """Composed once in a process, since that takes longer than the test; classification allows every norm."""
    return Composer("train", []).resolve([f"{group}={name}", "task=classification"])[group]


def node(name: str, group: str = "variant", **options: Any) -> dict[str, Any]:
    """A choice as its YAML has it, some of its options changed."""
    return deepcopy(_composed(group, name)) | options


def model_of(
    variant: str,
    encoder_depth: int = 3,
    decoder_depth: int = 3,
    *,
    task: str = "translation",
    options: dict[str, Any] | None = None,
    model: dict[str, Any] | None = None,
    **changes: Any,
) -> Any:
    """A small model with initial weights: 20 words, 4 classes.

    options: of the variant; model, changes: keys of its config and other top-level keys (see small_config).
    """
    size = {"encoder_depth": encoder_depth, "decoder_depth": decoder_depth} | (model or {})
    config = small_config(variant=node(variant, **(options or {})), task={"name": task}, model=size, **changes)
    return build(config, vocabulary=20, classes=4)


def pre_ln_under(norm: str, **size: Any) -> Any:
    """Pre-LN with a norm of configs/norm, in float64; size: keys of model."""
    return model_of("pre_ln", norm=node(norm, "norm"), model=size).double()


# Draws biases too, so that a scaled bias shows.
TORCH_DEFAULT = {"name": "torch_default", "_target_": "normexp.model.initialisers.TorchDefault"}
