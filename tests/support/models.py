"""Models for tests, built without data; their variant, norm or init as its YAML has it."""

from copy import deepcopy
from functools import cache
from typing import Any

import datasets

from normexp.config.schema import Config
from normexp.data.corpus import Corpus
from normexp.data.vocabulary import Vocabulary
from normexp.model.build import build
from tests.support.configs import node_of, small_config


@cache
def _composed(group: str, name: str) -> dict[str, Any]:
    """Composed once in a process, since that takes longer than the test."""
    return node_of(group, name)


def node(name: str, group: str = "variant", **options: Any) -> dict[str, Any]:
    """A choice as its YAML has it, some of its options changed."""
    return deepcopy(_composed(group, name)) | options


def corpus_of(vocabulary: int, classes: int = 0) -> Corpus:
    """A corpus with so many tokens and classes, and no examples."""
    names = tuple(map(str, range(vocabulary)))
    return Corpus("translation", datasets.DatasetDict(), Vocabulary(names), names[:classes], {}, "")


def built(config: Config, vocabulary: int = 20, classes: int = 4) -> Any:
    """The model of a config for a corpus with so many tokens and classes."""
    return build(config, corpus_of(vocabulary, classes))


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
    return built(config)


def pre_ln_under(norm: str, **size: Any) -> Any:
    """Pre-LN with a norm of configs/norm, in float64; size: keys of model."""
    return model_of("pre_ln", norm=node(norm, "norm"), model=size).double()


# Draws biases too, so that a scaled bias shows.
TORCH_DEFAULT = {"name": "torch_default", "_target_": "normexp.model.initialisers.TorchDefault"}
