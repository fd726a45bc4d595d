"""The commands that judge variants: check, card and map."""

from pathlib import Path
from typing import Annotated

import typer

from normexp.cli.options import ConfigDir, DryRun, Jobs, Name, Offline, Overrides, PoolName
from normexp.cli.shell import bad_input, interruptible, print_out, set_hub


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


def map_(
    overrides: Overrides = None,
    config_dir: ConfigDir = None,
    name: Name = "",
    seeds: Annotated[int, typer.Option(metavar="N", help="Fresh seeds at the best rate of every point.", min=1)] = 5,
    best_only: Annotated[
        bool, typer.Option("--best-only", help="Find the best rate alone, not how wide the window of usable rates is.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Also copy the page, tables and figures to this folder.")] = None,
    jobs: Jobs = 0,
    pool: PoolName = "",
    dry_run: DryRun = False,
    offline: Offline = False,
) -> None:
    """Find each variant's best learning rate at each depth: [bold]normexp map variant=pre_ln,b2t depth=3,6,12[/].

    Rates are a factor 2 apart; the search moves until the best one is inside, on a seed of its own, and fresh seeds
    measure the loss there. Any other key may be swept, too: [bold]init=xavier_uniform,torch_default[/].
    The same command again resumes it.
    """
    set_hub(offline)
    with bad_input():
        from normexp.maps import report, survey
        from normexp.records.folder import ensure_writable_dir
        from normexp.sweep.estimate import dry_run as listed
        from normexp.sweep.estimate import forecast
        from normexp.sweep.plan import default_jobs
        from normexp.sweep.pools import make_pool

        asked = survey.survey(
            overrides or [], seeds=seeds, window=not best_only, config_dirs=config_dir or [], name=name
        )
        first = survey.first_round(asked)
        if dry_run:
            print_out(listed(first, jobs or default_jobs(first)))
            return
        if out:
            ensure_writable_dir(out, "--out")
        ensure_writable_dir(asked.sweep.results, "results")

        def log(text: str) -> None:
            typer.echo(text, err=True)

        cost = forecast([first], jobs)
        log(f"{len(asked.points)} points in {asked.sweep.path}" + (f"; the first round: {cost}" if cost else ""))
        with interruptible():
            complete = survey.run(asked, lambda sweep: make_pool(pool, sweep, jobs), log, log)
        if not complete:
            raise typer.Exit(1)
        page, figures = report.write(asked)
        if out:
            report.publish(asked.sweep.path, out)
        for path in (page, *figures):
            typer.echo(path)
