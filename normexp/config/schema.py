"""The type, the range and the meaning of every config key.

Hydra composes configs/ into `Config`, so a wrong type or an unknown key fails before anything starts. Groups whose
keys belong to a class (`variant`, `norm`, …) are typed by that class.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

from normexp.errors import ConfigError


def key(
    default: Any,
    help: str = "",
    *,
    least: float | None = None,
    above: float | None = None,
    below: float | None = None,
    options: Sequence[str] = (),
    within: Sequence[str] = (),
) -> Any:
    """A config key: its default, its meaning and what it accepts.

    within: the tasks whose runs read this key; empty means all of them.
    """
    rules = {
        "help": help,
        "least": least,
        "above": above,
        "below": below,
        "options": options,
        "within": within,
    }
    return field(default=default, metadata=rules)


GENERATING = ("translation", "language_modelling")  # a decoder writes
TASKS = (*GENERATING, "classification")


@dataclass
class Task:
    name: str = key("translation", "what the model learns", options=TASKS)


@dataclass
class Model:
    width: int = key(64, "width of the residual stream (d_model)", least=1)
    heads: int = key(4, "attention heads", least=1)
    feed_forward: int = key(256, "hidden width of the feed-forward sub-layer; 0: layers have none", least=0)
    persistent: int = key(0, "learned key-value pairs per head of every self-attention (all-attention)", least=0)
    encoder_depth: int = key("${depth}", "layers in the encoder", least=1, within=("translation", "classification"))
    decoder_depth: int = key("${depth}", "layers in the decoder", least=1, within=GENERATING)
    activation: str = key("relu", "of the feed-forward sub-layer", options=("relu", "gelu"))
    positions: str = key("sinusoidal", "how positions are told", options=("sinusoidal", "learned"))
    tied: bool = key(True, "the output matrix is the embedding", within=GENERATING)
    fix_norm: bool = key(False, "word vectors of norm 1, read (times √width) and, where tied, written")
    attention_norm: str = key(
        "none", "norms on the heads' queries and keys (qk), values too (qkv)", options=("none", "qk", "qkv")
    )
    dropout: float = key(0.0, "on embeddings and on every branch's output", least=0, below=1)
    attention_dropout: float = key(0.0, "on attention weights and feed-forward activations", least=0, below=1)
    max_length: int = key(256, "longest text in tokens", least=1)


@dataclass
class Training:
    batch_tokens: int = key(1200, "source + target tokens per batch, padding included", least=1)
    label_smoothing: float = key(0.0, "share of the target spread over all classes", least=0, below=1)
    clip: float = key(0.0, "largest global gradient norm; 0 is off", least=0)
    device: str = key("auto", "auto, cpu, cuda or cuda:1, …")
    amp: str = key("none", "mixed precision", options=("none", "bf16", "fp16"))
    compile: bool = key(False, "torch.compile the model (minutes at first; pays on GPUs)")
    threads: int = key(1, "CPU threads per run; sweeps run cells side by side instead", least=1)


@dataclass
class Record:
    flush_every: int = key(10, "steps between reading losses off the device", least=1)
    evaluate_every: int = key(100, "steps between validations", least=1)
    checkpoint_every: int = key(50, "steps between checkpoints", least=1)
    sentences: int = key(200, "test sentences translated for BLEU and chrF", least=1, within=("translation",))


@dataclass
class Probe:
    every: int = key(10, "steps between measurements; 0 is off", least=0)


@dataclass
class Config:
    depth: int = key(6, "layers in the encoder and in the decoder (18 means 18L-18L)", least=1)
    lr: float = key(1e-3, "peak learning rate", above=0)
    warmup: str = key("10%", "linear warm-up: steps (0 is off) or a share of all steps (10%)")
    seed: int = key(0, "of weights, data order and dropout, each with a generator of its own", least=0)
    steps: int = key(400, "training steps; 0 only measures the model as it starts", least=0)
    task: Task = field(default_factory=Task)
    model: Model = field(default_factory=Model)
    variant: Any = key(None, "how a branch joins the residual stream")
    norm: Any = key(None, "the normaliser that the variant places")
    init: Any = key(None, "how weights start")
    data: Any = key(None, "where examples come from")
    optimizer: Any = key(None, "which optimizer; lr is a key of its own")
    schedule: Any = key(None, "learning rate after the warm-up")
    training: Training = field(default_factory=Training)
    record: Record = field(default_factory=Record)
    probe: Probe = field(default_factory=Probe)
    probes: Any = field(
        default_factory=dict, metadata={"help": "what is measured, with its options: probe=[…] chooses"}
    )
    name: str = key("", "name of the sweep; empty: made from the keys on the line")
    results: str = key("${oc.env:NORMEXP_RESULTS,results}", "where runs land")
    config_dirs: list[str] = field(
        default_factory=list, metadata={"help": "folders with your own configs and classes (--config-dir)"}
    )


CLASSES = tuple(
    f.name for f in fields(Config) if f.type is Any and f.name != "probes"
)  # groups whose YAML names a class
GROUPS = ("task", "model", *CLASSES)
# Groups of which the config keeps what they set and not their name; a sweep over one of these varies such keys.
SETS = {"attention": ("model.feed_forward", "model.persistent")}
CHOICES = (*GROUPS, *SETS, "probe")
# What does not change a run's result, and so is no part of its identity.
NO_IDENTITY = ("name", "results", "config_dirs", "probe", "probes")


def configs_folder() -> Path:
    """Where the package's own configs lie: inside the wheel, or beside the package in a checkout."""
    here = Path(__file__).resolve().parents[1]
    return next(d for d in (here / "configs", here.parent / "configs") if (d / "train.yaml").is_file())


def described(node: Any = Config, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every key with its dataclass field, as (`model.width`, field)."""
    for f in fields(node):
        if is_dataclass(f.type):
            yield from described(f.type, f"{prefix}{f.name}.")
        else:
            yield prefix + f.name, f


def check(config: dict[str, Any]) -> None:
    """Raise ConfigError for a value outside its range.

    config: the resolved config as plain dicts, types already checked by composition.
    """
    for name, f in described():
        value: Any = config
        for part in name.split("."):
            value = value[part]
        rules = f.metadata
        if rules.get("options") and value not in rules["options"]:
            raise ConfigError(f"{name}={value}: one of {', '.join(rules['options'])} is right")
        if (least := rules.get("least")) is not None and value < least:
            raise ConfigError(f"{name}={value} is too small: {least} or more is right")
        if (above := rules.get("above")) is not None and not value > above:
            raise ConfigError(f"{name}={value} is too small: more than {above} is right")
        if (below := rules.get("below")) is not None and value >= below:
            raise ConfigError(f"{name}={value} is too large: less than {below} is right")
    model = config["model"]
    if model["width"] % model["heads"]:
        raise ConfigError(f"model.width={model['width']} does not divide into model.heads={model['heads']}")
    warmup_steps(config["warmup"], config["steps"])


def check_read(config: dict[str, Any], line: Sequence[str]) -> None:
    """Raise ConfigError for a key on the line that runs of this task never read."""
    task = config["task"]["name"]
    for name, f in described():
        if (within := f.metadata.get("within")) and task not in within and name in line:
            right = " or ".join(f"task={each}" for each in within)
            raise ConfigError(f"{name} is set, but task={task} does not read it: drop it or set {right}")


def depths(config: dict[str, Any]) -> tuple[int, int]:
    """Layers in the encoder and in the decoder; 0 where the task has no such stack."""
    task, size = config["task"]["name"], config["model"]
    encoder = 0 if task == "language_modelling" else size["encoder_depth"]
    return encoder, size["decoder_depth"] if task in GENERATING else 0


def warmup_steps(warmup: str, steps: int) -> int:
    """Steps of linear warm-up: `400` as it stands, `10%` of all steps.

    Raises ConfigError where it is neither, or longer than the training.
    """
    number, share = warmup.removesuffix("%"), warmup.endswith("%")
    try:
        value = float(number) if share else int(number)
    except ValueError:
        raise ConfigError(f"warmup={warmup}: a number of steps or a share such as 10% is right") from None
    count = round(value * steps / 100) if share else int(value)
    if not 0 <= count <= steps:
        raise ConfigError(f"warmup={warmup} is {count} steps: 0 to steps={steps} is right")
    return count
