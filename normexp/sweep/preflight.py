"""What only building can show: built before anything starts, so that it is a sentence now and no failed cell later.

What takes time is built only for a line that sets a key of it.
"""

from collections.abc import Sequence
from typing import Any

from normexp.config.choice import locate, maker
from normexp.config.schema import CLASSES
from normexp.data.corpus import load_corpus
from normexp.errors import ConfigError
from normexp.norms import NoNorm


def rehearse(config: dict[str, Any], line: Sequence[str]) -> None:
    """Raise ConfigError where a class, the data or the optimizer cannot be built, or never reads a key on the line.

    line: the keys that the user set.
    """
    for group in CLASSES:
        maker(group, config[group])
    groups = {key.partition(".")[0] for key in line}
    variant, norm = locate("variant", config["variant"]), locate("norm", config["norm"])
    placed = getattr(variant, "uses_norm", True) or config["model"]["attention_norm"] != "none"
    if "norm" in groups and not placed:
        raise ConfigError(f"norm is set, but variant={config['variant']['name']} takes none from the line: drop it")
    if getattr(variant, "needs_norm", False) and norm is NoNorm:
        raise ConfigError(
            f"norm=none: under variant={config['variant']['name']} the stream grows without bound; name a norm"
        )
    if not config["model"]["feed_forward"]:
        _check_without_feed_forward(config, variant, line)
    if getattr(norm, "refuses_causal", False) and config["task"]["name"] != "classification":
        name = config["norm"]["name"]
        raise ConfigError(f"norm={name}: in a causal stack {norm.causality_note}; task=classification is right")
    if "data" in groups or {"training.batch_tokens", "model.max_length"} & set(line):
        _check_data(config)
    if "optimizer" in groups:
        _check_optimizer(config)
    if not (config["steps"] or config["probes"]):
        raise ConfigError("probe=[]: where nothing is trained there is nothing else to do; name a probe")
    if {"probe", "probes"} & groups:
        for name, node in config["probes"].items():
            maker(f"probes.{name}", {"name": name, **node})()


def _check_without_feed_forward(config: dict[str, Any], variant: Any, line: Sequence[str]) -> None:
    if getattr(variant, "needs_feed_forward", False):
        name = config["variant"]["name"]
        raise ConfigError(
            f"model.feed_forward=0: variant={name} counts on a feed-forward in its equation or its constants; 1 or more"
            " is right"
        )
    if "model.activation" in line:
        raise ConfigError("model.activation is set, but without a feed-forward nothing reads it: drop it")


def _check_data(config: dict[str, Any]) -> None:
    try:
        corpus = load_corpus(config)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    task, data = config["task"]["name"], config["data"]["name"]
    if (corpus.task == "classification") != (task == "classification"):
        raise ConfigError(f"data={data} is a corpus for {corpus.task}: task={task} needs other data")
    sizes = [
        (len(example.source), len(example.target) if isinstance(example.target, list) else 0)
        for split in corpus.splits
        for example in corpus.examples(split, task)
    ]
    for key, section, longest in (
        ("batch_tokens", "training", max(map(sum, sizes))),
        ("max_length", "model", max(map(max, sizes))),
    ):
        if config[section][key] < longest:
            given = f"{section}.{key}={config[section][key]}"
            raise ConfigError(f"{given} is too small for the longest example: {longest} or more is right")


def _check_optimizer(config: dict[str, Any]) -> None:
    from torch import nn

    from normexp.training.optimizers import build_optimizer

    try:
        build_optimizer(config, nn.Linear(1, 1))
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(f"optimizer={config['optimizer']['name']} refuses its options: {error}") from error
