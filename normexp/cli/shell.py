"""What commands share with the shell: environment, results folder, printing, exit codes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from normexp.config.schema import results_folder
from normexp.errors import INTERRUPTED, ConfigError, disk_error

PIPED = 1000  # columns of output that goes into a pipe or a file


def existing(folder: Path | None, name: str = "DIR") -> Path:
    """The folder, by default all results. Raises ConfigError, naming the argument, if it does not exist."""
    folder = folder or results_folder()
    if not folder.is_dir():
        raise ConfigError(f"{name} must be an existing folder with runs; got {folder}")
    return folder


def print_out(what: object, *, markup: bool = False) -> None:
    """Print for a terminal; without one, in as wide lines as the text needs.

    markup: whether square brackets style the text, which must then be normexp's own.
    """
    from rich.console import Console

    console = Console(soft_wrap=isinstance(what, str), highlight=False, markup=markup, emoji=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = PIPED
    console.print(what)


@contextmanager
def interruptible() -> Iterator[None]:
    """Exit code 1 with one sentence if no run could be started or written, 130 if the user interrupted."""
    from normexp.errors import LaunchError

    try:
        yield
    except LaunchError as error:
        typer.echo(f"error: {error}; run the same command again to continue", err=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:  # in a process of its own, normexp.__main__ answers signals
        typer.echo(INTERRUPTED, err=True)
        raise typer.Exit(130) from error


@contextmanager
def bad_input() -> Iterator[None]:
    """Bad input ends in one sentence on stderr and exit code 2, a full disk in one and 1; neither in a traceback."""
    try:
        yield
    except ConfigError as error:
        from normexp.records.reading import visible

        lines = map(visible, str(error).split("\n"))  # it may quote what a stranger's folder says
        typer.echo("error: " + "\n".join(lines), err=True)
        raise typer.Exit(2) from error
    except OSError as error:
        if not (reason := disk_error(error)):
            raise
        typer.echo(f"error: {reason}", err=True)
        raise typer.Exit(1) from error


def set_hub(offline: bool) -> None:
    """Environment of the Hub's client, for this process and its workers; the client reads it when it is imported."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # it would ask one thing more where there is no network
    if offline:
        os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1")
