"""Which columns of a table are read, and the task that follows from them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from normexp.data.contents import FORMATS
from normexp.errors import ConfigError

ROLES = ("source", "target", "text", "label")
TASKS = {
    ("source", "target"): "translation",
    ("text", "label"): "classification",
    ("text",): "language_modelling",
}
OTHER_DELIMITERS = ",;\t|"


def task_of(options: Mapping[str, Any]) -> str:
    """The task that the options of a corpus imply, by the columns or the kind of file that they name; empty if none."""
    named = tuple(role for role in ROLES if options.get(role))
    path = options.get("path")
    if named or not path:
        return TASKS.get(named, "")
    first, *others = path if isinstance(path, list | tuple) else [path]
    if others:
        return "translation"
    kind = options.get("format") or _format_of(Path(str(options.get("folder") or ""), Path(str(first)).expanduser()))
    return "language_modelling" if kind == "text" else ""


def _format_of(path: Path) -> str:
    """The format that a file's suffix names, text without one; of a folder that of its train file; empty if none."""
    if path.is_dir():
        path = next((each for each in sorted(path.iterdir()) if each.name.partition(".")[0] == "train"), path)
    suffix = path.suffix.lower().lstrip(".")
    return FORMATS.get(suffix, "text") if suffix or path.is_file() else ""


class Table(Protocol):
    """A split as it comes from a file or the Hub: rows, read in batches, as often as needed.

    `datasets.Dataset` and `datasets.IterableDataset` are tables.
    """

    def iter(self, batch_size: int) -> Iterator[Mapping[str, Sequence[Any]]]:
        """The rows in batches: the values of each column by its name."""
        ...


@dataclass(frozen=True)
class Columns:
    """The names of the columns that are read; a dot leads into a nested column, as in translation.en.

    source, target: of a translation. text: what is classified, or modelled. label: its class.
    """

    source: str = ""
    target: str = ""
    text: str = ""
    label: str = ""

    def __post_init__(self) -> None:
        given = ", ".join(f"data.{role}={name}" for role, name in vars(self).items() if name) or "none of them"
        if not self.task:
            raise ConfigError(
                "data.source and data.target, data.text and data.label, or data.text alone must name the columns to "
                f"read; got {given}"
            )
        first, second = [*self.named.items(), ("", "")][:2]
        if second[1] == first[1]:
            raise ConfigError(f"data.{first[0]} and data.{second[0]} must differ; got {first[1]} twice")

    @property
    def task(self) -> str:
        """The task that these columns are for; empty if they are for none."""
        return TASKS.get(tuple(self.named), "")

    @property
    def named(self) -> dict[str, str]:
        """The columns that are read, by role."""
        return {role: name for role, name in vars(self).items() if name}


def column(batch: Mapping[str, Sequence[Any]], name: str, where: str, *, known: bool = False) -> Sequence[Any]:
    """The values of a column in a batch; None where an outer column is empty or lacks the inner one.

    where: file or split. known: whether an earlier batch has the column, so that a batch of rows without it is empty.
    Raises ConfigError, listing the columns there are, if there is none of this name.
    """
    if name in batch:
        return batch[name]
    outer, *inner = name.split(".")
    values: Sequence[Any] = batch.get(outer, ())
    for key in inner:
        nested = [value for value in values if value is not None]
        if not all(isinstance(value, Mapping) for value in nested) or not any(key in value for value in nested):
            values = ()
            break
        values = [None if value is None else value.get(key) for value in values]
    if not values and known:
        return [None] * max(map(len, batch.values()), default=0)
    if not values:
        names = _paths(batch)
        offered = f"its {'columns are' if len(names) > 1 else 'only column is'} {', '.join(names)}"
        hint = "; set data.delimiter" if len(names) == 1 and set(names[0]) & set(OTHER_DELIMITERS) else ""
        raise ConfigError(f"{where} has no column {name}; {offered if names else 'it has no columns'}{hint}")
    return values


def _paths(batch: Mapping[str, Sequence[Any]]) -> list[str]:
    """The names of all columns; those of a nested column with a dot."""
    names: list[str] = []
    for name, values in batch.items():
        first = next((value for value in values if value is not None), None)
        names += [f"{name}.{key}" for key in first] if isinstance(first, Mapping) else [name]
    return names
