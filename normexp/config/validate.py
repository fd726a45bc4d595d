"""Checks of a config that need no model: ranges, options, keys that the task does not read."""

from collections.abc import Collection

from normexp.config.choice import Choice
from normexp.config.limits import LARGEST, Limit, check_finite, check_limit
from normexp.config.schema import GENERATING, Config, iter_keys, value_of
from normexp.errors import ConfigError

LONGEST = 1000  # characters of a value


def check(config: Config) -> None:
    """Raise ConfigError for a value outside its range, but for times (see check_times); composition checked types."""
    for name, f in iter_keys():
        rules = f.metadata
        value = value_of(config, name)
        if isinstance(value, Choice | tuple):
            continue
        if isinstance(value, str):
            check_text(name, value)
        if rules["options"] and value not in rules["options"]:
            raise ConfigError(f"{name} must be one of {', '.join(rules['options'])}; got {value}")
        if type(value) in (int, float):
            check_finite(name, value)
            check_limit(name, value, Limit(rules["ge"], rules["gt"], lt=rules["lt"]))
            if rules["lt"] is None:
                check_limit(name, value, Limit(le=2**63 - 1 if name == "seed" else LARGEST))
    model = config.model
    if model.width % model.heads:
        raise ConfigError(f"model.width must be a multiple of model.heads={model.heads}; got {model.width}")
    if model.positions == "rotary" and model.width // model.heads % 2:
        raise ConfigError(
            f"model.width / model.heads must be even with model.positions=rotary; got {model.width // model.heads}"
        )


def check_stacked(config: Config) -> None:
    """Raise ConfigError for a setting under which several runs cannot train as one batched model."""
    model, training = config.model, config.training
    hindered = {
        "model.dropout": model.dropout > 0,
        "model.attention_dropout": model.attention_dropout > 0,
        "training.amp": training.amp != "none",
        "training.accumulate": training.accumulate > 1,
        "training.activation_checkpointing": training.activation_checkpointing,
        "training.compile": training.compile,
    }
    if training.stacked > 1 and (found := [name for name, hinders in hindered.items() if hinders]):
        raise ConfigError(
            f"training.stacked must be 1 with {found[0]}={value_of(config, found[0])}; got {training.stacked}"
        )


def check_times(config: Config) -> None:
    """Raise ConfigError for a time that is not within the steps of training."""
    warmup_steps(config.warmup, config.steps)
    stop_step(config)


def check_text(name: str, value: str) -> None:
    """Raise ConfigError for text that is endless or has characters that no screen shows."""
    if len(value) > LONGEST:
        raise ConfigError(f"{name} must have at most {LONGEST} characters; got {len(value)}")
    if not value.isprintable():
        raise ConfigError(f"{name} must have printable characters only; got {value!r}")


def check_read(config: Config, set_keys: Collection[str]) -> None:
    """Raise ConfigError for a key that the user set and that runs of this task never read."""
    task = config.task.name
    for name, f in iter_keys():
        if (tasks := f.metadata["tasks"]) and task not in tasks and name in set_keys:
            needed = " or ".join(f"task={each}" for each in tasks)
            raise ConfigError(f"{name} is not used by task={task}; remove it or set {needed}")


def depths(config: Config) -> tuple[int, int]:
    """Layers in the encoder and in the decoder; 0 where the task has no such stack."""
    task = config.task.name
    encoder = 0 if task == "language_modelling" else config.model.encoder_depth
    return encoder, config.model.decoder_depth if task in GENERATING else 0


def warmup_steps(warmup: str, steps: int) -> int:
    """Steps of linear warm-up: `400` is a number of steps, `10%` a share of all steps.

    Raises ConfigError for anything else, and for a warm-up longer than the training.
    """
    return _steps("warmup", warmup, steps)


def stop_step(config: Config) -> int:
    """The step after which a run that is still stuck ends; 0: none. Raises ConfigError as `warmup_steps` does."""
    text = config.training.stop_stuck
    return _steps("training.stop_stuck", text, config.steps) if text else 0


def _steps(name: str, text: str, steps: int) -> int:
    """A number of steps or a share of all of them."""
    number, share = text.removesuffix("%"), text.endswith("%")
    try:
        value = float(number) if share else int(number)
        count = round(value * steps / 100) if share else int(value)
    except (ValueError, OverflowError):
        raise ConfigError(f"{name} must be a number of steps or a share such as 10%; got {text}") from None
    if value < 0 or not 0 <= count <= steps:
        raise ConfigError(f"{name} must be between 0 and steps={steps}; got {text} ({count} steps)")
    return count
