"""How large a run is, from its config alone: parameters and memory, before anything is built."""

import os

from normexp.config.schema import Config
from normexp.config.shape import layer_parameters
from normexp.config.validate import depths
from normexp.errors import ConfigError

FLOAT = 4  # bytes
SLACK = 1.25  # of the estimate: allocators keep more than is in use


def parameters(config: Config) -> int:
    """About how many parameters the model has, without embeddings of words: matrices of all layers, positions."""
    size = config.model
    added = size.positions in ("sinusoidal", "learned")
    return layer_parameters(config) + size.max_length * size.width * added


def memory(config: Config) -> int:
    """About how many bytes a training step needs: weights, gradients, two moments, and kept activations.

    Of stacked runs, all together.
    """
    size = config.model
    encoder, decoder = depths(config)
    per_token = 14 * size.width + 3 * size.feed_forward  # of what one layer keeps for its backward
    layers = encoder + 1.5 * decoder
    kept = config.training.batch_tokens / config.training.accumulate * layers * per_token
    if config.training.activation_checkpointing:  # the stream before every layer, and the activations of one
        kept = kept / layers + config.training.batch_tokens / config.training.accumulate * layers * size.width
    return round(SLACK * FLOAT * (4 * parameters(config) + kept) * config.training.stacked)


def machine_memory() -> int:
    """Bytes of this machine's memory; 0 where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return 0


def check_size(config: Config) -> None:
    """Raise ConfigError for a model whose weights and gradients alone exceed this machine's memory."""
    count, available = parameters(config), machine_memory()
    if available and config.training.device == "cpu" and 2 * FLOAT * count > available:
        raise ConfigError(
            f"the model would have about {count:.3g} parameters, which need {gigabytes(2 * FLOAT * count)} for weights "
            f"and gradients; this machine has {gigabytes(available)}; reduce depth or the sizes in model"
        )


def memory_advice(config: Config) -> str:
    """What a run needs and what to change where memory is short."""
    stacked = "training.stacked, " if config.training.stacked > 1 else ""
    return (
        f"the run needs about {gigabytes(memory(config))} and this machine has {gigabytes(machine_memory())}; "
        f"reduce {stacked}training.batch_tokens, depth or model.width, run fewer at a time with --jobs, or set "
        "training.activation_checkpointing=true"
    )


def gigabytes(size: float) -> str:
    """3.1 GB."""
    return f"{size / 1e9:,.1f} GB"
