"""Checks that need the classes, the data or the device: made before anything starts, for every run of a sweep.

What takes time is built only if the user set one of its keys.
"""

import math
import os
import sys
from collections.abc import Collection
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from normexp.config.choice import Choice
from normexp.config.schema import CLASSES, Config
from normexp.config.validate import depths
from normexp.errors import ConfigError, named, one_sentence

if TYPE_CHECKING:
    from normexp.model.variant import Variant

STACKS = ("encoder", "decoder")
GPU_FILES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")  # one of them exists where a driver for CUDA or ROCm is loaded


def check_buildable(config: Config, set_keys: Collection[str]) -> None:
    """Raise ConfigError where a class, the data or the optimizer cannot be built, or never reads a key.

    set_keys: the keys that the user set.
    """
    groups = {key.partition(".")[0] for key in set_keys}
    for group in CLASSES:
        choice: Choice = getattr(config, group)
        # Importing a class imports torch, which takes a second. The package's own YAML files are tested, so classes are
        # only checked where the user has folders of configs or set an option.
        if config.config_dirs or any(key.startswith(f"{group}.") for key in set_keys):
            _ = choice.factory
    if "data" in groups or {"training.batch_tokens", "model.max_length", "experiment"} & set(set_keys):
        _check_data(config)
    if any(key.startswith(("variant.", "norm.", "init.")) for key in set_keys):
        _check_model(_shallow(config))
    if "model.attention_norm" in set_keys and config.model.attention_norm != "none":
        _check_attention_norm(_shallow(config))
    for stack in STACKS:
        if f"variant.{stack}" in set_keys and stack not in _stacks(config):
            raise ConfigError(
                f"variant.{stack} is not used by task={config.task.name}, which has no {stack}; remove it"
            )
    if any(key.startswith("schedule.") for key in set_keys):
        _check_schedule(config.schedule, config.steps)
    if config.record.trunk:
        from normexp.training.trunk import check_trunk

        check_trunk(config)
    if "norm" in groups or config.config_dirs or "training.amp" in set_keys:
        _check_norm(config, chosen="norm" in groups)
    if config.addon and ({"addon", "variant", "optimizer"} & groups or config.config_dirs):
        _check_add_ons(config)
    if config.training.activation_checkpointing and not all(each.separate_layers for each in _variants(config)):
        raise ConfigError(
            f"training.activation_checkpointing cannot be used with variant={config.variant.name}: its layers share "
            "more than the stream"
        )
    if not config.model.feed_forward:
        _check_without_feed_forward(config, set_keys)
    if "lr" in config.optimizer.options:
        raise ConfigError("optimizer.lr is not an option; set lr")
    if "optimizer" in groups:
        _check_optimizer(config.optimizer)
    if not (config.steps or config.probes):
        raise ConfigError("probe must name at least one probe when steps=0; got []")
    if {"probe", "probes"} & groups:
        for probe in config.probes:
            with _refused(f"probes.{probe.name}"):
                probe.build()


def _check_norm(config: Config, chosen: bool) -> None:
    from normexp.norms import NoNorm

    variants, norm = _variants(config), config.norm.cls
    places_norm = any(each.uses_norm for each in variants) or config.model.attention_norm != "none"
    if chosen and not places_norm:
        raise ConfigError(f"norm is not used by variant={config.variant.name}; remove it")
    if any(each.needs_norm for each in variants) and norm is NoNorm:
        raise ConfigError(
            f"norm=none cannot be used with variant={config.variant.name}: its stream would grow without bound"
        )
    if config.training.amp == "fp16" and getattr(norm, "refuses_fp16", False):
        raise ConfigError(
            f"norm={config.norm.name} cannot be used with training.amp=fp16, whose loss scale it would learn"
        )
    if getattr(norm, "refuses_causal", False) and config.task.name != "classification":
        raise ConfigError(
            f"norm={config.norm.name} cannot be used in a causal stack ({norm.causality_note}); use task=classification"
        )


def _variants(config: Config) -> tuple[type["Variant"], ...]:
    """The classes of the variants in the stacks that the task has."""
    found: tuple[type[Variant], ...] = config.variant.cls.made_of(_stacks(config), **config.variant.options)
    return found


def _stacks(config: Config) -> list[str]:
    return [stack for stack, depth in zip(STACKS, depths(config), strict=True) if depth]


def _overrides(cls: Any, method: str) -> bool:
    """Whether an add-on does something of its own in one of the methods of AddOn."""
    from normexp.model.add_on import AddOn

    return getattr(cls, method) is not getattr(AddOn, method)


def _check_add_ons(config: Config) -> None:
    """Build each of them once, for its values, and ask whether it goes together with the variant."""
    from normexp.model.variant import StackShape, Variant

    one_stream = all(
        each.main_stream is Variant.main_stream and each.layer is Variant.layer for each in _variants(config)
    )
    for choice in config.addon:
        choice.build(StackShape("encoder", 1, 0, config.model.width, config.model.heads, config.model.feed_forward))
        if _overrides(choice.cls, "after_join") and not one_stream:
            raise ConfigError(
                f"addon={choice.name} needs a variant with one stream, joined site by site;"
                f" variant={config.variant.name} is not one"
            )
        if _overrides(choice.cls, "option_scales") and not config.optimizer.target.startswith("torch.optim."):
            raise ConfigError(
                f"addon={choice.name} needs an optimizer of torch.optim; optimizer={config.optimizer.name} is not one"
            )


@cache
def device_of(device: str) -> str:
    """`auto` resolved, so that a run's identity names the device that is used.

    Raises ConfigError for a device that this machine does not have.
    """
    if device == "cpu" or (device == "auto" and sys.platform == "linux" and not any(map(os.path.exists, GPU_FILES))):
        return "cpu"
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"training.device must be auto, cpu or a device of this machine; got {device}") from error
    return device


def _check_without_feed_forward(config: Config, set_keys: Collection[str]) -> None:
    if any(each.needs_feed_forward for each in _variants(config)):
        raise ConfigError(f"model.feed_forward must be at least 1 with variant={config.variant.name}; got 0")
    if "model.activation" in set_keys:
        raise ConfigError("model.activation is not used with model.feed_forward=0; remove it")


def _check_data(config: Config) -> None:
    task = config.task.name
    longest, longest_side = _sizes(config.data.planned(), task)
    limits = (
        ("training.batch_tokens", config.training.batch_tokens, longest),
        ("model.max_length", config.model.max_length, longest_side),
    )
    for key, value, needed in limits:
        if value < needed:
            raise ConfigError(f"{key} must be at least {needed}, the size of the longest example; got {value}")


@cache
def _sizes(data: Choice, task: str) -> tuple[int, int]:
    """The longest example of a corpus, and the longest side of one, in tokens.

    Raises ConfigError for a corpus that cannot be built, is not for this task, or states no baselines.
    """
    from normexp.data.corpus import load_corpus

    def said(error: Exception) -> str:
        if isinstance(error, ValueError):  # our corpora name the option
            return " ".join(str(error).split()).rstrip(".")
        return f"data={data.name} does not accept its options: {named(error)[:300]}"

    with one_sentence(said):
        corpus = load_corpus(data)
        if not corpus.serves(task):
            raise ConfigError(f"data={data.name} is for task={corpus.task}; it cannot be used with task={task}")
        corpus.baselines_for(task)
    lengths = [corpus.examples(str(split), task).lengths for split in corpus.splits]
    return max(int(each.sum(0).max()) for each in lengths), max(int(each.max()) for each in lengths)


@cache
def _check_model(shallow: Config) -> None:
    """Build one layer of the model, to see whether its classes accept their options."""
    with _refused(f"init={shallow.init.name}"):
        shallow.init.build()
    _modules(shallow)


@cache
def _check_attention_norm(shallow: Config) -> None:
    """Refuse norms in attention that the variant replaces with modules of its own, all of them."""
    if _modules(shallow) == _modules(replace(shallow, model=replace(shallow.model, attention_norm="none"))):
        raise ConfigError(
            f"model.attention_norm={shallow.model.attention_norm} is not used by variant={shallow.variant.name}, which "
            "has its own modules there; remove it"
        )


def _shallow(config: Config) -> Config:
    """The same with one layer in every stack."""
    return replace(config, depth=1, seed=0, model=replace(config.model, encoder_depth=1, decoder_depth=1))


def _modules(config: Config) -> list[tuple[str, type]]:
    """Name and class of every module of the model. Raises ConfigError where a class does not accept its options."""
    import torch

    from normexp.data.corpus import load_corpus
    from normexp.model.build import build

    what = f"variant={config.variant.name} norm={config.norm.name} init={config.init.name}"
    with _refused(what), torch.device("meta"):
        return [(name, type(module)) for name, module in build(config, load_corpus(config.data)).named_modules()]


def _check_schedule(schedule: Choice, steps: int) -> None:
    with _refused(f"schedule={schedule.name}"):
        if not math.isfinite(schedule.factory(max(steps, 1), 0, max(steps, 1))):
            raise ValueError("its factor is not finite")


def _refused(what: str) -> AbstractContextManager[None]:
    """What a class says against its options, as a ConfigError in one line."""
    return one_sentence(lambda error: f"{what} does not accept its options: {named(error)[:300]}")


@cache
def _check_optimizer(optimizer: Choice) -> None:
    from torch import nn

    from normexp.training.optimizers import build_optimizer

    with _refused(f"optimizer={optimizer.name}"):
        build_optimizer(optimizer, nn.Linear(1, 1), lr=1e-3)
