"""The commands, as a table of contents. Nothing heavy is imported before a command needs it."""

from collections.abc import Callable
from inspect import cleandoc
from typing import Annotated, Any

import typer

from normexp import __version__
from normexp.cli import judging, running, upkeep, viewing
from normexp.cli.options import KEYS

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="How Transformers train with depth, depending on where the norm and the residual connection sit.\n\n"
    "Try [bold]normexp sweep depth=6,12,18[/]: it trains Post-LN, Pre-LN and no-residual stacks on a built-in "
    "translation task, offline, in minutes, and draws the figures.",
)


def _add(function: Callable[..., Any], name: str = "", epilog: str | None = None) -> None:
    """Its docstring is its help, of which the terminal breaks the lines."""
    paragraphs = (" ".join(each.split()) for each in cleandoc(function.__doc__ or "").split("\n\n"))
    app.command(name or None, help="\n\n".join(paragraphs), epilog=epilog)(function)


_add(running.train, epilog=KEYS)
_add(running.sweep, epilog=KEYS)
_add(running.probe, epilog=KEYS)
_add(judging.map_, "map", epilog=KEYS)
_add(judging.check, epilog=KEYS)
_add(judging.card, epilog=KEYS)
_add(viewing.show)
_add(viewing.variants)
_add(running.reproduce)
_add(viewing.status)
_add(viewing.results)
_add(viewing.figures)
_add(viewing.sample)
_add(viewing.compare)
_add(viewing.report)
_add(viewing.tensorboard)
_add(viewing.export)
_add(upkeep.clean)
_add(upkeep.doctor)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def normexp(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None: ...
