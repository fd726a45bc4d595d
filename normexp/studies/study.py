"""What a study is: the sweeps that it needs, the figures that it draws from them, the claims that it checks."""

import hashlib
import shlex
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pandas as pd
from matplotlib.figure import Figure

from normexp.errors import ConfigError
from normexp.papers import PAPERS
from normexp.studies.claim import Claim, Untested
from normexp.studies.declare import DeclaredClaim, DeclaredFigure
from normexp.studies.statistics import COMPARABLE, LEARNED, comparable, learned, relative_gap, valid_loss
from normexp.views import formatting
from normexp.views.grid import where
from normexp.views.runs import load_runs, load_table

KEYS = ("variant", "depth", "init", "norm", "lr", "warmup", "seed", "task", "steps")
SIZES = ("quick", "full")
T = TypeVar("T")


@dataclass(frozen=True)
class Part:
    """One sweep of a study, as the command that a person would type and its overrides.

    grid: the part of the YAML that it was made from. seeds: in place of those that the overrides list, if any.
    """

    name: str
    command: str  # sweep or probe
    overrides: tuple[str, ...]
    grid: str = ""
    seeds: str = ""

    def with_keys(self, name: str = "", **keys: Any) -> "Part":
        """The same with other values for some keys, under another name."""
        kept = [text for text in self.overrides if text.partition("=")[0] not in keys]
        overrides = (*kept, *(f"{key}={value}" for key, value in keys.items()))
        return replace(self, name=name or self.name, overrides=overrides)

    @property
    def line(self) -> tuple[str, ...]:
        """The overrides with the seeds that are asked for, in their place, since it gives runs their names."""
        return tuple(
            f"seed={self.seeds}" if self.seeds and text.startswith("seed=") else text for text in self.overrides
        )

    @property
    def folder(self) -> str:
        """Name of the folder of its runs: the same words give the same folder, whichever study asks for them.

        Seeds that are asked for on the command line do not count, so that runs are shared between numbers of seeds.
        """
        digest = hashlib.sha256(_command(self.command, self.overrides).encode()).hexdigest()[:6]
        return f"{self.name}-{digest}"

    def __str__(self) -> str:
        return _command(self.command, self.line)


def _command(command: str, overrides: Sequence[str]) -> str:
    return " ".join(["normexp", command, *map(shlex.quote, overrides)])


class Runs:
    """The runs of one part, and their tables with the keys that people compare joined to every row.

    names: those of its folders that count, if not all; others are of seeds that are not asked for now.
    """

    def __init__(self, folder: Path, names: Sequence[str] = ()) -> None:
        self.folder, frame = folder, load_runs(folder)
        counts = [not names or Path(run).name in names for run in frame["folder"]]
        self.frame = frame[counts].reset_index(drop=True)
        self._read: dict[str, pd.DataFrame] = {}  # figures and claims ask for the same rows, of hundreds of files

    def layers(self, *statistics: str, **where: Any) -> pd.DataFrame:
        """Rows of the layers table: KEYS, swept keys, step, stack, layer, site, parameter, statistic, value."""
        return self._table("layers", statistics, where)

    def curves(self, *statistics: str, **where: Any) -> pd.DataFrame:
        """Rows of the curves table: KEYS, swept keys, step, split, statistic, value."""
        return self._table("curves", statistics, where)

    def heading(self, *shown: str) -> str:
        """The settings that these runs share and the number of seeds, for a figure that shows the keys `shown`."""
        return formatting.heading(self.frame, [*shown, "seed"])

    def _table(self, name: str, statistics: tuple[str, ...], where: dict[str, Any]) -> pd.DataFrame:
        asked = repr((name, statistics, where))
        if asked not in self._read:
            filters = [(key, "==", value) for key, value in where.items()]
            self._read[asked] = load_table(self.frame, name, [("statistic", "in", list(statistics)), *filters], KEYS)
        return self._read[asked]


class _Watched(Mapping[str, Runs]):
    """The runs of a study, and which of them were asked for."""

    def __init__(self, runs: Mapping[str, Runs]) -> None:
        self._runs, self._read = runs, dict[str, Runs]()

    def __getitem__(self, name: str) -> Runs:
        if name not in self._runs:
            raise Untested(f"The runs of the part {name} are in the full size only.")
        self._read[name] = self._runs[name]
        return self._read[name]

    def __contains__(self, name: object) -> bool:
        return name in self._runs

    def __iter__(self) -> Iterator[str]:
        return iter(self._runs)

    def __len__(self) -> int:
        return len(self._runs)

    def frames(self) -> pd.DataFrame:
        """Every run that was read, as one frame."""
        return pd.concat([runs.frame for runs in self._read.values()], ignore_index=True)

    def training(self) -> bool:
        """Whether any of them was trained."""
        return any(runs.frame["steps"].any() for runs in self._read.values())

    def read(self) -> frozenset[str]:
        """The names under which they were read."""
        return frozenset(self._read)


class Study:
    """One paper, or one question. Subclass it and declare figures and claims as methods (see normexp.studies.declare).

    paper: a key of normexp.papers, which gives citation and title; "" for a question of our own, which is the title.
    parts: the grid of configs/study/<name>.yaml at one of SIZES. runs: those of every part, for the methods to read.
    sets: of parts that compare several sets of seeds with each other, the number of sets.
    """

    paper = ""
    citation = ""
    title = ""
    sets: ClassVar[Mapping[str, int]] = {}
    runs: Mapping[str, Runs]
    needed: dict[str, bool]  # preconditions of the claim that is being checked

    def __init_subclass__(cls) -> None:
        if cls.paper:
            cls.citation, cls.title = PAPERS[cls.paper].citation, PAPERS[cls.paper].title

    def __init__(self, parts: Mapping[str, Part], size: str) -> None:
        self.parts, self.size = parts, size

    @classmethod
    def about(cls) -> str:
        """The citation and the title of the paper, or the question."""
        return ", ".join(filter(None, (cls.citation, cls.title))) or cls.__name__

    def plan(self) -> Generator[Part, Runs, None]:
        """The parts in their order. Each `yield` gives back the runs of the part, so a later one may depend on them."""
        for part in self.parts.values():  # noqa: UP028  a dict's iterator cannot be sent the runs
            yield part

    def figures(self, runs: Mapping[str, Runs]) -> Iterator[tuple[str, Figure]]:
        """Name and figure, drawn from the tables on disk alone."""
        for name, declared in self._declared(DeclaredFigure):
            self.runs = watched = _Watched(runs)
            yield name, declared.drawn(self, watched.frames)

    def claims(self, runs: Mapping[str, Runs], looks: int = 1) -> Iterator[Claim]:
        """Every claim, whatever its verdict. looks: see Claim."""
        for name in self.windows():
            yield self.claim(name, runs, looks)

    def claim(self, name: str, runs: Mapping[str, Runs], looks: int = 1) -> Claim:
        """The claim of this name, such as `post-vanishes`."""
        self.runs = watched = _Watched(runs)
        declared: DeclaredClaim = getattr(type(self), name.replace("-", "_"))
        return declared.checked(self, name, watched, looks)

    @classmethod
    def windows(cls) -> dict[str, Mapping[str, Any]]:
        """What every claim fixes before the runs: its statistic, kind, window and source."""
        return {name.replace("_", "-"): declared.about for name, declared in cls._declared(DeclaredClaim)}

    def needs(self, sentence: str, met: bool) -> None:
        """State a precondition of the claim that is being checked: where it is not met, the claim cannot be tested.

        sentence: how it goes on after "Needed:".
        """
        self.needed[f"Needed: {sentence}"] = met

    def ordering(self, frame: pd.DataFrame, one: Mapping[str, Any], other: Mapping[str, Any]) -> list[float]:
        """By how much the final loss of the runs with the values `one` is above that of `other`; see `relative_gap`.

        The claim can only be tested where both orders are possible; see COMPARABLE.
        """
        for arm in (one, other):
            if where(frame, **arm).empty:
                asked = " ".join(f"{key}={value}" for key, value in arm.items())
                raise Untested(f"The runs with {asked} are in the full size only.")
        self.needs(COMPARABLE, comparable(frame, one, other))
        return relative_gap(frame, one, other)

    def valid_gap(self, frame: pd.DataFrame, one: Mapping[str, Any], other: Mapping[str, Any]) -> list[float]:
        """By how much the validation loss of the runs with the values `one` is above that of `other`; see relative_gap.

        The claim can only be tested where both have learned something; see LEARNED.
        """
        self.needs(LEARNED, learned(frame, one, other))
        return relative_gap(frame, one, other, loss=valid_loss)

    @classmethod
    def _declared(cls, kind: type[T]) -> Iterator[tuple[str, T]]:
        """What the class declares, in the order of the text, then those that it extends."""
        for base in cls.__mro__:
            yield from ((name, value) for name, value in vars(base).items() if isinstance(value, kind))


def parts_of(grid: Mapping[str, Any], size: str, variants: Sequence[str] = ()) -> dict[str, Part]:
    """The parts of a study at a size. A part has `overrides`, then what the size adds; it may lack a size.

    variants: those that variant=glob(*) means, so that a plan has a list.

    Raises ConfigError for a part that is written wrongly.
    """
    parts = {}
    for name, about in grid.items():
        lines = {key: text or "" for key, text in about.items() if key != "command"} if isinstance(about, dict) else {}
        texts = lines.keys() <= {"overrides", *SIZES} and all(isinstance(text, str) for text in lines.values())
        if not (lines and texts) or about.get("command") not in ("sweep", "probe"):
            raise ConfigError(
                f"study part {name} needs a command (sweep or probe) and texts named overrides, quick or full"
            )
        if size not in lines:
            continue
        line = f"{lines.get('overrides', '')} {lines[size]}".replace("glob(*)", ",".join(variants))
        try:
            parts[name] = Part(name, about["command"], tuple(shlex.split(line)), grid=name)
        except ValueError as error:
            raise ConfigError(f"study part {name}: cannot read its overrides ({error})") from error
    return parts


def best_lr(frame: pd.DataFrame) -> dict[str, float]:
    """Per variant, the learning rate with the lowest mean final loss over seeds and depths; a diverged run counts as
    infinite. Ties go to the smaller rate."""
    losses = frame.assign(loss=frame["final_loss"].astype(float).fillna(float("inf")))
    means = losses.groupby(["variant", "lr"], sort=True)["loss"].mean().reset_index()
    best = means.loc[means.groupby("variant")["loss"].idxmin()]
    return dict(zip(best["variant"], best["lr"], strict=True))


def asked(part: Part, key: str) -> list[str]:
    """The values that a part's overrides list for a key. Raises ConfigError if they list none."""
    listed = dict(text.split("=", 1) for text in part.overrides)
    if key not in listed:
        raise ConfigError(f"study part {part.name}: its overrides need {key}=…, because the next parts depend on it")
    return listed[key].split(",")


def at_own_rates(part: Part, rates: Mapping[str, float]) -> Generator[Part, Runs, None]:
    """The part once per learning rate, each with those of its variants whose rate it is."""
    for lr in sorted(set(rates.values())):
        if variants := [variant for variant in asked(part, "variant") if rates[variant] == lr]:
            yield part.with_keys(f"{part.name}-lr{formatting.number(lr)}", variant=",".join(variants), lr=lr)
