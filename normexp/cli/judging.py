"""The commands that judge one variant: check and card."""

from pathlib import Path
from typing import Annotated

import typer

from normexp.cli.options import ConfigDir, Overrides
from normexp.cli.shell import bad_input, print_out, results_folder


def check(overrides: Overrides = None, config_dir: ConfigDir = None) -> None:
    """Check a variant before you train it, in seconds: [bold]normexp check variant=mine --config-dir lab[/].

    Does it read future tokens or the rest of the batch, are its gradients finite at 2 and 48 layers and reach every
    parameter, does it repeat itself, does it survive save and load, and do all layers join the residual stream alike?
    Checked as encoder-decoder and as decoder alone, unless you set the task, on made-up tokens.

    The exit code is 0 if all checks pass, 1 if one fails, 2 for bad input.
    """
    with bad_input():
        from normexp.cards.checks import check as findings_of
        from normexp.cards.checks_table import checks_table
        from normexp.cards.finding import State, headline
        from normexp.cards.subject import subject

        about = subject("check", overrides or [], config_dir or [])
        findings = findings_of(about.config, about.tasks)
        print_out(headline(about.name, findings))
        print_out(checks_table(findings))
        raise typer.Exit(0 if all(each.state is State.PASSES for each in findings) else 1)


def card(
    overrides: Overrides = None,
    config_dir: ConfigDir = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Output folder; by default results/cards/VARIANT.")
    ] = None,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Measure the start at depths 3, 6 and 12 with 3 seeds, not 6, 12 and 24 with 5."),
    ] = False,
) -> None:
    """Judge a variant on one page: [bold]normexp card variant=mine --config-dir lab[/].

    Its checks first, its graph as equations, what its initial weights predict next to pre_ln and post_ln, and the
    numbers of the map next to those of all other variants. Printed, and written as Markdown and HTML with figures.

    The exit code is 0 if all checks pass, 1 if one fails, 2 for bad input.
    """
    with bad_input():
        from normexp.cards.card import READ, make
        from normexp.cards.files import write
        from normexp.cards.subject import subject
        from normexp.cards.text import terminal
        from normexp.records.folder import ensure_writable_dir

        about = subject("card", overrides or [], config_dir or [], READ)
        folder = ensure_writable_dir(out or results_folder() / "cards" / about.name, "--out")
        made = make(about, quick=quick, say=lambda text: typer.echo(text, err=True))
        sections, pages = write(made, folder)
        print_out(terminal(sections))
        for path in pages:
            typer.echo(path)
        raise typer.Exit(0 if made.passes else 1)
