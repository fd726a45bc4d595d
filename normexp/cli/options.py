"""Arguments and options that several commands have, and the list of keys under their help."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from normexp.cli import completion
from normexp.config.schema import CHOICES, CLASSES, LISTS, PRESETS, ignored_keys, iter_keys


class Style(StrEnum):
    """What figures are drawn for, see normexp.views.style."""

    DEFAULT = "default"
    PAPER = "paper"


def _keys() -> str:
    """The keys that people set, each with its meaning, and the names that each group offers."""
    lines = ["[bold]Keys[/]"]
    for name, field in iter_keys():
        if "." not in name and name not in ignored_keys():
            offered = ", ".join(completion.names(name))
            lines.append(f"[bold]{name}[/]  {field.metadata['help']}" + (f": {offered}" if offered else ""))
    for group in CHOICES:
        if group not in (*CLASSES, *PRESETS, *LISTS.values()):
            lines.append(f"[bold]{group}[/]  {', '.join(completion.names(group))}")
    lines.append(
        "Choose several probes with [bold]'probe=\\[stream,dependency]'[/]; set their options as probes.stream.…"
    )
    lines.append("[bold]normexp show --all[/] prints all other keys, such as model.dropout and training.amp.")
    return "\n\n".join(lines)


def _name_replaced(context: typer.Context, given: list[str] | None) -> list[str] | None:
    """Name overrides that a later one replaces, since whoever wrote depth=6 depth=12 may want both. Changes none."""
    last: dict[str, str] = {}
    for word in reversed([] if context.resilient_parsing else given or []):
        key, equals, _ = word.lstrip("+~").partition("=")
        if equals and (kept := last.setdefault(key, word)) is not word:
            from normexp.records.reading import visible

            note = f"note: {kept} replaces {word}; several values are one list, as in depth=6,12"
            typer.echo(visible(note), err=True)
    return given


KEYS = _keys()
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE",
        help="Overrides in Hydra's grammar.",
        show_default=False,
        autocompletion=completion.overrides,
        callback=_name_replaced,
    ),
]
ConfigDir = Annotated[
    list[str] | None,
    typer.Option(
        "--config-dir",
        metavar="DIR",
        help=f"Folder with your own configs and classes; by default those in {completion.CONFIG_DIR}.",
        show_default=False,
        callback=lambda given: given or completion.folders_of_environment(),
    ),
]


def _refuse(text: str) -> None:
    typer.echo(f"error: {text}", err=True)
    raise typer.Exit(2)


# What users of Hydra type.
Multirun = Annotated[
    bool,
    typer.Option(
        "--multirun",
        "-m",
        hidden=True,
        callback=lambda given: (
            given and _refuse("-m is not an option; normexp sweep depth=6,12 runs every combination")
        ),
    ),
]
Cfg = Annotated[
    str,
    typer.Option(
        "--cfg",
        "-c",
        hidden=True,
        callback=lambda given: (
            given and _refuse("--cfg is not an option; normexp show --all prints the config of a run")
        ),
    ),
]
Name = Annotated[str, typer.Option(help="Name of the sweep; by default it is made from the overrides.")]
Jobs = Annotated[int, typer.Option(help="Runs at a time; 0 means one per core, or one on a GPU.", min=0)]
PoolName = Annotated[
    str,
    typer.Option(
        "--pool", help="Where runs go: local, slurm, ray, hydra (with hydra/launcher=NAME).", show_default="local"
    ),
]
Submit = Annotated[
    bool, typer.Option("--submit", help="With --pool slurm: return at once; normexp status shows their progress.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only print the runs and what each would cost.")]
Estimate = Annotated[
    bool, typer.Option("--estimate", help="Like --dry-run, and measure the cost of more than 100 runs too.")
]
StyleName = Annotated[
    Style,
    typer.Option("--style", help="paper: PDFs of a column's width in figures/paper, without titles; captions as text."),
]
Offline = Annotated[
    bool, typer.Option("--offline", help="Do not contact the Hugging Face Hub; read its datasets from the cache.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Also run more than 10,000 runs.")]
Folder = Annotated[Path | None, typer.Argument(metavar="DIR", help="Runs, or folders of runs.", show_default=False)]
