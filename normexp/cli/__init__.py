"""The commands, as a table of contents. Nothing heavy is imported before a command needs it."""

from typing import Annotated

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
    "Try [bold]normexp sweep depth=6,12,18[/]: it trains Post-LN, Pre-LN and no-residual stacks on an embedded "
    "translation task, offline, in minutes, and draws the figures.",
)
app.command(epilog=KEYS)(running.train)
app.command(epilog=KEYS)(running.sweep)
app.command(epilog=KEYS)(running.probe)
app.command("map", epilog=KEYS)(judging.map_)
app.command(epilog=KEYS)(judging.check)
app.command(epilog=KEYS)(judging.card)
app.command()(viewing.show)
app.command()(viewing.variants)
app.command()(running.reproduce)
app.command()(viewing.status)
app.command()(viewing.results)
app.command()(viewing.figures)
app.command()(viewing.sample)
app.command()(viewing.compare)
app.command()(viewing.report)
app.command()(viewing.tensorboard)
app.command()(viewing.export)
app.command()(upkeep.clean)
app.command()(upkeep.doctor)


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
