"""The commands that judge one variant: check and card."""

import typer

from normexp.cli.options import ConfigDir, Overrides
from normexp.cli.shell import bad_input, print_out


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
