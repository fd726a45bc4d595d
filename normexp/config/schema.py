"""Every config key: its type, default, range and meaning.

`Config` is frozen and typed. It is composed once (config/compose.py) and handed on; a run folder holds the same values
as YAML. Groups that name a class (`variant`, `norm`, …) are a `Choice`: the class and its options.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from normexp.config.choice import Choice

GENERATING = ("translation", "language_modelling")  # tasks with a decoder
TASKS = (*GENERATING, "classification")
GATED = ("swiglu",)  # activations of a feed-forward that has a gate, its third matrix


def key(
    default: Any,
    help: str,
    *,
    ge: float | None = None,
    gt: float | None = None,
    lt: float | None = None,
    options: Sequence[str] = (),
    tasks: Sequence[str] = (),
    identity: bool = True,
    later: bool = False,
) -> Any:
    """A config key: its default, its meaning and what it accepts.

    ge, gt, lt: bounds (at least, greater than, less than). options: the allowed values.
    tasks: the tasks whose runs read this key; empty means all of them.
    identity: False if the key cannot change a run's tables, so that it is no part of the run's identity.
    later: the key came after runs had been published. At its default it is no part of the identity, so that theirs
        stays as it was.
    """
    rules = {"help": help, "ge": ge, "gt": gt, "lt": lt, "options": options, "tasks": tasks}
    return field(default=default, metadata=rules | {"identity": identity, "later": later})


@dataclass(frozen=True)
class Task:
    name: str = key("translation", "what the model learns", options=TASKS)


@dataclass(frozen=True)
class Model:
    name: str = key("", "name of the preset in configs/model")
    parameters: int = key(
        0,
        "parameters in the matrices of all layers, from which width and hidden width follow at any depth; 0: as set",
        ge=0,
        identity=False,  # the sizes that follow are
    )
    width: int = key(64, "width of the residual stream (d_model)", ge=1)
    heads: int = key(4, "attention heads", ge=1)
    feed_forward: int = key(256, "hidden width of the feed-forward sub-layer; 0 removes it", ge=0)
    persistent: int = key(0, "learned key-value pairs per head of every self-attention (all-attention)", ge=0)
    encoder_depth: int = key("${depth}", "layers in the encoder", ge=1, tasks=("translation", "classification"))
    decoder_depth: int = key("${depth}", "layers in the decoder", ge=1, tasks=GENERATING)
    activation: str = key("relu", "feed-forward activation; swiglu has a gate", options=("relu", "gelu", *GATED))
    biases: bool = key(True, "biases in the matrices of attention and feed-forward", later=True)
    positions: str = key(
        "sinusoidal",
        "position encoding: added to the embedding, or in self-attention (rotary, alibi), or none",
        options=("sinusoidal", "learned", "rotary", "alibi", "none"),
    )
    tied: bool = key(True, "use the embedding as the output matrix", tasks=GENERATING)
    fix_norm: bool = key(False, "use word vectors of norm 1 (FixNorm), in the embedding and in a tied output matrix")
    attention_norm: str = key(
        "none",
        "norm on the heads' queries and keys (qk), on values too (qkv), or on queries and keys of all heads (qk_whole)",
        options=("none", "qk", "qkv", "qk_whole"),
    )
    dropout: float = key(0.0, "dropout on embeddings and branch outputs", ge=0, lt=1)
    attention_dropout: float = key(0.0, "dropout on attention weights and feed-forward activations", ge=0, lt=1)
    max_length: int = key(256, "longest text, in tokens", ge=1)


@dataclass(frozen=True)
class Training:
    batch_tokens: int = key(1200, "source and target tokens per batch, including padding", ge=1)
    label_smoothing: float = key(0.0, "probability spread evenly over all classes", ge=0, lt=1)
    clip: float = key(0.0, "largest global gradient norm; 0 turns clipping off", ge=0)
    stop_stuck: str = key(
        "",
        "end a run that is still stuck at this step, or share of all steps (50%); empty: train to the end",
        later=True,
    )
    device: str = key("auto", "auto, cpu, cuda, cuda:1, …")
    amp: str = key("none", "mixed precision", options=("none", "bf16", "fp16"))
    accumulate: int = key(
        1,
        "parts of a batch that run one after the other and whose gradients add up: less memory, the same step",
        ge=1,
        later=True,
    )
    activation_checkpointing: bool = key(
        False, "compute a layer's activations again in the backward: less memory, more time", identity=False
    )
    compile: bool = key(False, "run the model through torch.compile (slow to start, faster on GPUs)")
    threads: int = key(1, "CPU threads per run; sweeps use several processes instead", ge=1, identity=False)
    stacked: int = key(
        1,
        "runs that differ only in seed, lr or warmup and train as one batched model, which suits a GPU that one of "
        "them leaves idle; their numbers differ by rounding",
        ge=1,
        identity=False,
    )


@dataclass(frozen=True)
class Record:
    flush_every: int = key(10, "steps between reads of the losses from the device", ge=1)
    evaluate_every: int = key(100, "steps between validations", ge=1)
    checkpoint_every: int = key(50, "steps between checkpoints", ge=1)
    trunk: bool = key(
        False,
        "keep the last checkpoint before the rate falls; longer runs of the sweep, otherwise equal, start from it",
        identity=False,
    )
    sentences: int = key(200, "test sentences translated for BLEU and chrF", ge=1, tasks=("translation",))


@dataclass(frozen=True)
class ProbeSchedule:
    every: int = key(10, "steps between measurements; 0 turns probes off", ge=0)


@dataclass(frozen=True)
class Slurm:
    minutes: int = key(0, "time that a job asks for; 0: three times the estimate, and ten minutes", ge=0)
    gigabytes: float = key(0.0, "memory that a job asks for; 0: from the estimate", ge=0)
    cpus: int = key(1, "CPUs of a job", ge=1)
    gpus: int = key(0, "GPUs of a job", ge=0)
    runs: int = key(1, "runs that share a job, and its GPU", ge=1)
    at_once: int = key(256, "jobs of a sweep that may run at the same time", ge=1)
    partition: str = key("", "partition; empty: the cluster's default")
    account: str = key("", "account; empty: the user's default")
    setup: str = key("", "a shell command that every job starts with, such as module load python")


@dataclass(frozen=True)
class Ray:
    address: str = key("", "of a Ray cluster, as in 10.0.0.1:6379; empty: RAY_ADDRESS, or one on this machine")
    cpus: float = key(1.0, "CPUs of a run", gt=0)
    gpus: float = key(0.0, "GPUs of a run; with 0.25, four runs share one", ge=0)


@dataclass(frozen=True)
class Config:
    """All settings of one run, resolved and checked."""

    depth: int = key(6, "layers in the encoder and in the decoder (18 means 18L-18L)", ge=1)
    lr: float = key(1e-3, "peak learning rate", gt=0)
    warmup: str = key("10%", "linear warm-up: a number of steps (0 is off) or a share of all steps (10%)")
    seed: int = key(0, "seed for weights, data order and dropout, which have separate generators", ge=0)
    steps: int = key(400, "training steps; 0 only measures the untrained model", ge=0)
    tokens: float = key(
        0.0, "train for so many tokens, padding included, in place of steps", ge=0, lt=1e30, identity=False
    )
    flops: float = key(0.0, "train for so many FLOPs in place of steps", ge=0, lt=1e30, identity=False)
    task: Task = field(default_factory=Task)
    model: Model = field(default_factory=Model)
    block: str = key("transformer", "preset of a layer's parts: norm, positions, activation, biases, tied", later=True)
    variant: Choice = key(None, "how a branch joins the residual stream")
    addon: tuple[Choice, ...] = key((), "what changes every branch under any variant; addon=[…] chooses", later=True)
    norm: Choice = key(None, "the normaliser that the variant places")
    init: Choice = key(None, "how weights start")
    data: Choice = key(None, "where examples come from")
    optimizer: Choice = key(None, "which optimizer (lr is a separate key)")
    schedule: Choice = key(None, "learning rate after the warm-up")
    training: Training = field(default_factory=Training)
    record: Record = field(default_factory=Record)
    probe: ProbeSchedule = key(ProbeSchedule(), "when probes measure", identity=False)
    probes: tuple[Choice, ...] = key((), "what is measured, with its options; probe=[…] chooses", identity=False)
    slurm: Slurm = key(Slurm(), "what --pool slurm asks the cluster for", identity=False)
    ray: Ray = key(Ray(), "what --pool ray asks the cluster for", identity=False)
    name: str = key("", "name of the sweep; empty: made from the overrides", identity=False)
    results: str = key("${oc.env:NORMEXP_RESULTS,results}", "output directory for runs", identity=False)
    config_dirs: tuple[str, ...] = key((), "folders with your own configs and classes (--config-dir)", identity=False)


CLASSES = tuple(name for name, kind in get_type_hints(Config).items() if kind is Choice)  # groups that name a class
GROUPS = ("task", "model", *CLASSES)
# Groups that set keys of another section; a sweep over one of them varies these keys.
SETS = {"attention": ("model.feed_forward", "model.persistent")}
PRESETS = ("block",)  # groups that set keys anywhere, and the keys that hold the name of the choice
LISTS = {"addon": "addon", "probe": "probes"}  # groups of which a run has several choices, and the keys that hold them
CHOICES = (*GROUPS, *PRESETS, *SETS, *LISTS)
EXPERIMENT = "experiment"  # a group of the user's folders; its files set keys of the whole config and may have a grid


def configs_folder() -> Path:
    """The package's own configs: inside the wheel, or next to the package in a checkout."""
    package = Path(__file__).resolve().parents[1]
    return next(d for d in (package / "configs", package.parent / "configs") if (d / "train.yaml").is_file())


def results_folder() -> Path:
    """The folder of all results, as the default of the key `results` has it."""
    return Path(os.environ.get("NORMEXP_RESULTS") or "results")


def is_section(kind: Any) -> bool:
    """Whether a field's type is a dataclass of keys, such as Model."""
    return is_dataclass(kind) and kind is not Choice


@cache
def iter_keys(section: type = Config, prefix: str = "") -> tuple[tuple[str, Field[Any]], ...]:
    """Every key with its dataclass field, as (`model.width`, field). The name of a group is chosen, not set."""
    found: list[tuple[str, Field[Any]]] = []
    kinds = get_type_hints(section)
    for f in fields(section):
        if is_section(kinds[f.name]):
            found += iter_keys(kinds[f.name], f"{prefix}{f.name}.")
        elif not (prefix and f.name == "name"):
            found.append((prefix + f.name, f))
    return tuple(found)


def value_of(config: Config, name: str) -> Any:
    """The value of a key by its dotted name; of a group that names a class, an option or, without a dot, its Choice.

    None for an option of an add-on that the run does not have.
    """
    value: Any = config
    for part in name.split("."):
        if isinstance(value, tuple):
            value = next((each for each in value if each.name == part), None)
        elif value is not None:
            value = value.options[part] if isinstance(value, Choice) else getattr(value, part)
    return value


# Keys that are no part of a run's identity, because those that they set are.
SETTING_OTHERS = ("model.parameters", "tokens", "flops")


@cache
def ignored_keys() -> tuple[str, ...]:
    """The keys that are no part of a run's identity (`probe` stands for all keys below it)."""
    return tuple(_without_identity(Config))


def _without_identity(section: type, prefix: str = "") -> Iterator[str]:
    kinds = get_type_hints(section)
    for f in fields(section):
        if not f.metadata.get("identity", True):
            yield prefix + f.name
        elif is_section(kinds[f.name]):
            yield from _without_identity(kinds[f.name], f"{prefix}{f.name}.")


def from_dict(values: Mapping[str, Any]) -> Config:
    """A config from plain values, as composition or config.yaml gives them. Missing keys take their defaults."""
    return _section(Config, values)


def _section(section: type, values: Mapping[str, Any]) -> Any:
    kinds = get_type_hints(section)
    known = {name: value for name, value in values.items() if name in kinds}
    return section(**{name: _typed(kinds[name], name, value) for name, value in known.items()})


def _typed(kind: Any, name: str, value: Any) -> Any:
    if kind is Choice:
        return Choice.of(name, value)
    if is_section(kind):
        return _section(kind, value or {})
    if get_origin(kind) is tuple:
        if get_args(kind)[0] is Choice:
            return tuple(Choice.of(f"{name}.{each}", {"name": each, **node}) for each, node in (value or {}).items())
        return tuple(value or ())
    return value


def to_dict(config: Config) -> dict[str, Any]:
    """The config as plain values, in the layout of config.yaml: `from_dict(to_dict(c)) == c`."""
    return {f.name: _plain(getattr(config, f.name)) for f in fields(config)}


def _plain(value: Any) -> Any:
    if isinstance(value, int | float | str):  # nearly all of them
        return value
    if isinstance(value, Choice):
        return {"name": value.name, **value.node}
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple):
        if value and isinstance(value[0], Choice):
            return {each.name: each.node for each in value}
        return list(value)
    return value
