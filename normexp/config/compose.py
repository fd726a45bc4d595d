"""The one file that talks to Hydra: compose configs, expand a grid, hand the cells to a Hydra launcher."""

import copy
import difflib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.callbacks import Callbacks
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.types import HydraContext, RunMode
from hydra.version import setbase
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from normexp.config.choice import import_from
from normexp.config.schema import CHOICES, CLASSES, GROUPS, SETS, Config, check, check_read, configs_folder, described
from normexp.errors import ConfigError
from normexp.sweep import worker
from normexp.sweep.plan import Cell, Sweep, clean, run_name, sweep_name
from normexp.sweep.preflight import rehearse

_SEED = re.compile(r"seed=\d+")
_TYPES = {"Integer": "a whole number", "Float": "a number", "Boolean": "true or false"}


class Composer:
    """Hydra, opened on the package's configs, with the user's own folders in front of them.

    command: train, sweep or probe, the config that Hydra starts from.
    """

    def __init__(self, command: str, config_dirs: Sequence[str]) -> None:
        self.command, self.config_dirs = command, [_readable(folder) for folder in config_dirs]
        setbase("1.3")
        GlobalHydra.instance().clear()
        ConfigStore.instance().store(name="schema", node=Config)
        path = create_config_search_path(f"file://{configs_folder()}")
        for folder in self.config_dirs:
            path.prepend("config-dir", f"file://{folder}")
        import_from(self.config_dirs)
        self.loader = Hydra.create_main_hydra2("normexp", path).config_loader

    def options(self, group: str) -> list[str]:
        """What a config group offers."""
        return self.loader.get_group_options(group)

    def parse(self, line: Sequence[str]) -> list[Override]:
        """The line as Hydra reads it; raises ConfigError for a key or a choice that does not exist."""
        parsed = []
        for text in line:
            if "=" not in text:
                raise ConfigError(f"{text}: KEY=VALUE is right, for instance depth=6")
            try:
                parsed += OverridesParser.create(config_loader=self.loader).parse_overrides([text])
            except HydraException as error:
                raise ConfigError(f"{text}: cannot be read ({_sentence(error)})") from error
            self._check_choice(parsed[-1])
        return parsed

    def _check_choice(self, override: Override) -> None:
        key = override.get_key_element().lstrip("+~")
        group = key.partition(".")[0]
        keys = [name for name, _ in described()] + [*CHOICES]
        if group.partition("/")[0] != "hydra" and key not in keys and group not in (*CLASSES, "probes"):
            raise ConfigError(f"{key}: there is no such key{_did_you_mean(key, keys)}")
        if key == "config_dirs":
            raise ConfigError("config_dirs: --config-dir DIR is right")
        if key in CHOICES or "/" in key:
            swept = override.is_sweep_override()
            chosen = override.sweep_string_iterator() if swept else [override.value()]
            for value in (str(each) for one in chosen for each in (one if isinstance(one, list) else [one])):
                options = self.options(key)
                if value not in options:
                    hint = _did_you_mean(value, options)
                    raise ConfigError(f"{key}={value}: one of {', '.join(options)} is right{hint}")

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """The composed config with Hydra's own part; raises ConfigError where Hydra refuses."""
        try:
            return self.loader.load_configuration(self.command, list(overrides), run_mode=RunMode.MULTIRUN)
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(_sentence(error)) from error
        except yaml.YAMLError as error:
            raise ConfigError(f"a config file is no YAML: {' '.join(str(error).split())}") from error

    def resolve(self, overrides: Sequence[str]) -> dict[str, Any]:
        """The whole config of one combination as plain values, checked; raises ConfigError for what is not allowed."""
        composed = self.compose(overrides)
        choices = composed.hydra.runtime.choices
        try:
            keys = list(Config.__dataclass_fields__)
            config: Any = OmegaConf.to_container(OmegaConf.masked_copy(composed, keys), resolve=True)
        except OmegaConfBaseException as error:
            raise ConfigError(_sentence(error)) from error
        for group in GROUPS:
            config[group] = {"name": choices[group]} | config[group]
        check(config)
        line = [text.partition("=")[0].lstrip("+~") for text in overrides]
        check_read(config, line)
        rehearse(config, line)
        config["config_dirs"] = self.config_dirs
        config["results"] = str(Path(config["results"] or "results").absolute())
        config["training"]["device"] = _device(config["training"]["device"])
        return config

    def default_sweep(self, given: Sequence[Override]) -> list[str]:
        """What this command compares unless the line says otherwise (hydra.sweeper.params in its config)."""
        params: Any = OmegaConf.to_container(self.compose([]).hydra.sweeper.params or OmegaConf.create())
        keys = {override.get_key_element() for override in given}
        return [f"{key}={value}" for key, value in params.items() if key not in keys]


def compose(
    command: str, line: Sequence[str], *, config_dirs: Sequence[str] = (), name: str = ""
) -> tuple[Sweep, Composer]:
    """What a command line means: its cells, in the order of the line.

    command: sweep, probe, or train, which is a sweep of one cell.
    Raises ConfigError, with nothing written, when any cell is not right.
    """
    composer = Composer(command, config_dirs)
    parsed = composer.parse(line)
    if command != "train":
        parsed = composer.parse(composer.default_sweep(parsed)) + parsed
    several = [override for override in parsed if override.is_sweep_override()]
    if command == "train" and several:
        raise ConfigError(f"{several[0].input_line} names several values: `normexp sweep` runs them all")
    for override in several:
        if next(override.sweep_string_iterator(), None) is None:
            raise ConfigError(f"{override.input_line} names no value at all: one or more is right")
    named = [override.get_key_element() for override in several]
    if "probe" in named:
        raise ConfigError("probe names several choices: one run makes them all, so probe=[stream,dependency] is right")
    swept = tuple(dict.fromkeys(key for name in named for key in SETS.get(name, (name,))))
    cells = {cell.name: cell for cell in _cells(composer, parsed, swept)}.values()
    first = next(iter(cells)).config
    own_name = sweep_name([o.input_line or "" for o in parsed], named, first) if swept else command
    if swept and command == "probe":
        own_name = f"probe-{own_name}"
    sweep = Sweep(
        name=clean(name or first["name"]) or own_name,
        results=Path(first["results"]),
        line=tuple(line),
        swept=swept,
        cells=tuple(cells),
    )
    return sweep, composer


def _cells(composer: Composer, parsed: list[Override], swept: Sequence[str]) -> Iterator[Cell]:
    seen: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for overrides in combinations(parsed):
        # Ten seeds are composed twice, not ten times: Hydra takes most of the time of a large sweep that is done. The
        # second time shows whether anything but the seed follows from the seed.
        rest = tuple(text for text in overrides if not _SEED.fullmatch(text))
        known = seen.setdefault(rest, [])
        if len(known) == 2 and {**known[0], "seed": 0} == {**known[1], "seed": 0}:
            seed = next(text for text in overrides if text not in rest).partition("=")[2]
            config = {**copy.deepcopy(known[0]), "seed": int(seed)}
        else:
            config = composer.resolve(overrides)
            seen[rest] = [*known, config][-2:]
        yield Cell(tuple(overrides), config, run_name(config, swept))


def combinations(parsed: list[Override]) -> list[list[str]]:
    """Every combination of the swept values, in the order of the line."""
    return [list(overrides) for overrides in BasicSweeper.split_arguments(parsed, None)[0]]


def launch(sweep: Sweep, cells: Sequence[Cell], composer: Composer, jobs: int) -> None:
    """Hand cells to the Hydra launcher and wait for it.

    What became of them stands in their folders, whatever this returns or raises: a killed worker makes most
    launchers raise and forget the results of all others.
    """
    hydra = [text for text in cells[0].overrides if text.startswith("hydra")]
    chosen = composer.compose(hydra).hydra.runtime.choices["hydra/launcher"]
    if chosen == "joblib" and not any(text.startswith("hydra.launcher.n_jobs") for text in hydra):
        hydra.append(f"hydra.launcher.n_jobs={max(2, jobs)}")  # with 1, joblib would run cells in this process
    path = str(sweep.path).replace("\\", "\\\\").replace("'", "\\'")
    master = composer.compose([*hydra, f"hydra.sweep.dir='{path}'"])
    context = HydraContext(config_loader=composer.loader, callbacks=Callbacks(master))
    launcher = Plugins.instance().instantiate_launcher(hydra_context=context, task_function=task, config=master)
    batch = len(cells) if jobs > 1 or chosen != "joblib" else 1
    for start in range(0, len(cells), batch):
        named = [[*c.overrides, f"hydra.sweep.subdir={c.name}"] for c in cells[start : start + batch]]
        launcher.launch(named, initial_job_idx=start)


def task(_: DictConfig) -> None:
    """What a launcher runs, here or on another machine: the folder that it is given says all there is to do."""
    worker.execute(Path(HydraConfig.get().runtime.output_dir))


def default_jobs(sweep: Sweep) -> int:
    """Cells at a time: one per core that this process may use; on a GPU one, for cells there would share it."""
    if any(cell.config["training"]["device"] != "cpu" for cell in sweep.cells):
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _readable(folder: str) -> str:
    path = Path(folder).absolute()
    if not path.is_dir() or not os.access(path, os.R_OK | os.X_OK):
        raise ConfigError(f"--config-dir {folder}: a readable folder with configs (variant/mine.yaml) is right")
    return str(path)


def _device(device: str) -> str:
    """`auto` and the device's existence settled now, so that the identity names what will really be used."""
    if device == "cpu":
        return device
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"training.device={device}: this machine cannot use it; auto or cpu is right") from error
    return device


def _did_you_mean(word: str, words: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, words, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _sentence(error: BaseException) -> str:
    """Hydra's several lines as one: the innermost reason, with the key that it is about."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    key = next((line.partition(":")[2].strip() for line in lines if line.startswith("full_key:")), "")
    if wrong := re.match(r"Value '(.*)' of type '.*' could not be converted to (\w+)", lines[0]):
        return f"{key}={wrong[1]}: {_TYPES.get(wrong[2], wrong[2])} is right"
    if re.match(r"Key '.*' is not in struct", lines[0]):
        return f"{key}: there is no such key with this choice of {key.partition('.')[0]}"
    return f"{key}: {lines[0]}" if key and key not in lines[0] else lines[0]
