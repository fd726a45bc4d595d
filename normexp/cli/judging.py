"""The commands that judge variants: check, card and map."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from normexp.cli.options import ConfigDir, DryRun, Jobs, Name, Offline, Overrides, PoolName
from normexp.cli.shell import bad_input, interruptible, print_out, set_hub
from normexp.config.schema import results_folder


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
        from normexp.cards.subject import subject, use_threads

        about = subject("check", overrides or [], config_dir or [])
        use_threads(about.config.training.threads)
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
        from normexp.cards.subject import subject, use_threads
        from normexp.cards.text import terminal
        from normexp.records.folder import ensure_writable_dir

        about = subject("card", overrides or [], config_dir or [], READ)
        use_threads(about.config.training.threads)
        folder = ensure_writable_dir(out or results_folder() / "cards" / about.name, "--out")
        made = make(about, quick=quick, say=lambda text: typer.echo(text, err=True))
        sections, pages = write(made, folder)
        print_out(terminal(sections))
        for path in pages:
            typer.echo(path)
        raise typer.Exit(0 if made.passes else 1)


def map_(
    overrides: Overrides = None,
    config_dir: ConfigDir = None,
    name: Name = "",
    seeds: Annotated[
        int, typer.Option(metavar="N", help="Fresh seeds at the best rate of every point.", min=1, max=1000)
    ] = 5,
    best_only: Annotated[
        bool, typer.Option("--best-only", help="Find the best rate alone, not how wide the window of usable rates is.")
    ] = False,
    known: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The runs.csv of an earlier map with the same settings, whose runs need not be trained again.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Also copy the page, tables and figures to this folder.")] = None,
    jobs: Jobs = 0,
    pool: PoolName = "",
    dry_run: DryRun = False,
    offline: Offline = False,
) -> None:
    """Find each variant's best learning rate at each depth: [bold]normexp map variant=pre_ln,b2t depth=3,6,12[/].

    Rates are a factor of 2 apart. The search, on a seed of its own, goes on until a rate on each side of the best is
    worse; fresh seeds then measure the loss at the best rate. Deeper stacks start from the rates of shallower ones,
    unless most workers would be idle until these are known.
    Any other key may be swept, too: [bold]init=xavier_uniform,torch_default[/].
    The same command again resumes it.
    """
    set_hub(offline)
    with bad_input():
        from normexp.errors import ConfigError
        from normexp.maps import report, survey
        from normexp.records.folder import ensure_writable_dir
        from normexp.sweep.estimate import dry_run as listed
        from normexp.sweep.estimate import forecast
        from normexp.sweep.plan import default_jobs
        from normexp.sweep.pools import ELSEWHERE, make_pool

        asked = survey.survey(
            overrides or [],
            seeds=seeds,
            window=not best_only,
            known=known,
            config_dirs=config_dir or [],
            name=name,
            elsewhere=pool in ELSEWHERE,
        )
        least = survey.at_least(asked)
        if not least.runs:
            raise ConfigError(f"--known {known} has all runs of this map already")
        if dry_run:
            print_out(listed(least, jobs or default_jobs(least)))
            return
        if out:
            ensure_writable_dir(out, "--out")
        ensure_writable_dir(asked.sweep.results, "results")

        def log(text: str) -> None:
            typer.echo(text, err=True)

        cost = forecast([least], jobs)
        log(f"{len(asked.points)} points in {asked.sweep.path}" + (f"; at least {cost}" if cost else ""))
        with interruptible():
            asks = least.runs[0].config.slurm
            most = {"slurm": asks.at_once * asks.runs, "ray": sys.maxsize}
            slots = jobs or most.get(pool) or default_jobs(least)
            complete = survey.run(asked, lambda sweep: make_pool(pool, sweep, jobs), log, log, slots)
        if not any(asked.is_complete(run) for run in asked.with_runs(asked.runs()).runs):
            raise typer.Exit(1)
        page, figures = report.write(asked)
        if out:
            report.publish(asked.sweep.path, out)
        for path in (page, *figures):
            typer.echo(path)
        if not complete:
            log("some runs failed, and the page does without them; the same command tries them again")
            raise typer.Exit(1)
