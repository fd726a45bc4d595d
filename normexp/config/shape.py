"""How many parameters the layers of a config have, and the width at which they have a given number."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from itertools import count
from typing import Any

from normexp.config.schema import GATED, Config
from normexp.config.validate import depths
from normexp.errors import ConfigError


def layer_parameters(config: Config) -> int:
    """Parameters in the matrices of the usual sub-layers of all layers, persistent keys and values included.

    Not counted: biases, norms, embeddings, the output matrix, and what a variant or an add-on adds or leaves out.
    """
    size = config.model
    encoder, decoder = depths(config)
    attention = 4 * size.width**2
    matrices = 3 if size.activation in GATED else 2
    others = size.width * (matrices * size.feed_forward + 2 * size.persistent)
    attentions = 2 if encoder else 1  # in a decoder layer: one that reads an encoder has cross-attention
    return encoder * (attention + others) + decoder * (attentions * attention + others)


def sized(config: Config, set_keys: Collection[str]) -> Config:
    """The config with the width and the hidden width at which its layers have model.parameters parameters.

    The width is the nearest one that the heads divide, at the preset's ratio of the two; then the hidden width makes up
    the rest. set_keys: the keys that the user set. Raises ConfigError where they leave nothing to choose, and for a
    number of parameters that is too small.
    """
    target = config.model.parameters
    if not target:
        return config
    for key in ("model.width", "model.feed_forward"):
        if key in set_keys and (key == "model.width" or config.model.feed_forward):
            raise ConfigError(f"{key} cannot be set with model.parameters, which chooses it; remove one of them")
    candidates = list(_up_to(config, target))
    smallest = layer_parameters(_with(candidates[0], feed_forward=min(1, config.model.feed_forward)))
    if target < smallest:
        raise ConfigError(
            f"model.parameters must be at least {smallest:,} with depth={config.depth} and"
            f" model.heads={config.model.heads}; got {target:,}"
        )
    nearest = min(candidates, key=lambda each: abs(layer_parameters(each) - target))
    if not config.model.feed_forward:
        return nearest
    without, one = (layer_parameters(_with(nearest, feed_forward=hidden)) for hidden in (0, 1))
    return _with(nearest, feed_forward=max(1, round((target - without) / (one - without))))


def _up_to(config: Config, target: int) -> Iterator[Config]:
    """The config at every width that its heads divide, until its layers have the target."""
    size = config.model
    step = size.heads * (2 if size.positions == "rotary" else 1)  # rotary turns pairs of columns
    for width in count(step, step):
        hidden = max(min(1, size.feed_forward), round(width * size.feed_forward / size.width))
        wider = _with(config, width=width, feed_forward=hidden)
        yield wider
        if layer_parameters(wider) >= target:
            return


def _with(config: Config, **sizes: Any) -> Config:
    return replace(config, model=replace(config.model, **sizes))
