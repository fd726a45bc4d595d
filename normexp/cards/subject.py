"""Which model `normexp check` and `normexp card` are about."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from normexp.config.compose import Composer
from normexp.config.overrides import Request
from normexp.config.schema import Config
from normexp.errors import ConfigError
from normexp.sweep.plan import plan

GRAPH = (  # what decides the graph
    *("depth", "seed", "task", "model", "block"),
    *("attention", "variant", "addon", "norm", "init"),
)
TASKS = ("translation", "language_modelling")  # checked where the overrides name no task


@dataclass(frozen=True)
class Subject:
    """A config, the tasks whose models are checked, and the overrides that named it."""

    config: Config
    tasks: tuple[str, ...]
    overrides: tuple[str, ...]
    config_dirs: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.config.variant.name

    @property
    def others(self) -> list[str]:
        """The overrides without the choice of the variant; its options are among them."""
        return [text for text in self.overrides if text.partition("=")[0].lstrip("+~") != "variant"]

    @property
    def shared(self) -> list[str]:
        """The overrides that other variants take, too: none of the variant's options."""
        return [text for text in self.others if _group(text.partition("=")[0].lstrip("+~")) != "variant"]

    @property
    def command(self) -> str:
        """What names the model on the command line, without the config folders."""
        return shlex.join([f"variant={self.name}", *self.others])


def subject(
    command: str, overrides: Sequence[str], config_dirs: Sequence[str] = (), read: Sequence[str] = GRAPH
) -> Subject:
    """The model that the overrides name; none but these groups and keys are read.

    Raises ConfigError for an override with several values, for one that is not read, and where `normexp train` would.
    """
    requests = Composer("train", config_dirs).parse(overrides)
    for request in requests:
        _check(request, command, read)
    config = plan("train", overrides, config_dirs=config_dirs).runs[0].config
    named = {"task", "data"} & {_group(request.key) for request in requests}
    return Subject(config, (config.task.name,) if named else TASKS, tuple(overrides), tuple(config_dirs))


def _check(request: Request, command: str, read: Sequence[str]) -> None:
    if request.swept:
        raise ConfigError(f"{request.key} must have one value for `normexp {command}`; run it once per value")
    if _group(request.key) not in read:
        raise ConfigError(f"{request.key} is not used by `normexp {command}`; remove it")


def _group(key: str) -> str:
    return key.partition(".")[0]


def use_threads(count: int) -> None:
    """Compute with so many threads in this process, as the workers of a sweep do; more only wait for each other."""
    torch.set_num_threads(count)
