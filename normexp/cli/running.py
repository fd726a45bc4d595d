"""The commands that run something: train, sweep, probe, reproduce."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from normexp.cli import completion
from normexp.cli.options import (
    Cfg,
    ConfigDir,
    DryRun,
    Estimate,
    Jobs,
    Multirun,
    Name,
    Offline,
    Overrides,
    PoolName,
    Style,
    StyleName,
    Submit,
    Yes,
)
from normexp.cli.shell import bad_input, interruptible, print_out, set_hub
from normexp.config.schema import results_folder
from normexp.errors import ConfigError

if TYPE_CHECKING:
    from normexp.sweep.plan import Sweep
    from normexp.sweep.pools import Pool

LARGE = 500  # runs, whose figures and report take minutes


def train(
    overrides: Overrides = None,
    config_dir: ConfigDir = None,
    name: Name = "",
    offline: Offline = False,
    multirun: Multirun = False,
    cfg: Cfg = "",
) -> None:
    """Train one run: [bold]normexp train variant=pre_ln depth=12[/]."""
    set_hub(offline)
    _run("train", overrides, config_dir, name, jobs=1)


def sweep(
    overrides: Overrides = None,
    config_dir: ConfigDir = None,
    name: Name = "",
    jobs: Jobs = 0,
    pool: PoolName = "",
    submit: Submit = False,
    dry_run: DryRun = False,
    estimate: Estimate = False,
    offline: Offline = False,
    yes: Yes = False,
    multirun: Multirun = False,
    cfg: Cfg = "",
) -> None:
    """Train a grid: [bold]normexp sweep depth=6,12,18 'seed=range(3)'[/].

    Without a variant it compares post_ln, pre_ln and no_residual.
    The same command again skips runs that are complete and resumes those that were interrupted.
    """
    set_hub(offline)
    _run("sweep", overrides, config_dir, name, jobs, pool, dry_run, estimate, yes, submit)


def probe(
    overrides: Overrides = None,
    config_dir: ConfigDir = None,
    name: Name = "",
    jobs: Jobs = 0,
    pool: PoolName = "",
    submit: Submit = False,
    dry_run: DryRun = False,
    estimate: Estimate = False,
    offline: Offline = False,
    yes: Yes = False,
    multirun: Multirun = False,
    cfg: Cfg = "",
) -> None:
    """Measure untrained models: [bold]normexp probe depth=6,18 'probe=\\[stream,dependency]'[/].

    Models can have any size, up to the papers' own: [bold]model=base[/]. With [bold]steps=N[/] they are trained, too.
    The same probes measure a training run every [bold]probe.every[/] steps:
    [bold]normexp sweep depth=6 probe=\\[gradient_norm,stream][/].
    """
    set_hub(offline)
    _run("probe", overrides, config_dir, name, jobs, pool, dry_run, estimate, yes, submit)


def reproduce(
    study: Annotated[
        str,
        typer.Argument(metavar="STUDY", help="Without it, list the studies.", autocompletion=completion.studies),
    ] = "",
    quick: Annotated[
        bool, typer.Option("--quick", help="Use five variants, which takes minutes; all variants take hours.")
    ] = False,
    seeds: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Seeds of every part; by default 20 at initialisation and 5 in training. With fewer than 5 no claim "
            "has a verdict.",
            show_default=False,
        ),
    ] = None,
    until_decided: Annotated[
        bool,
        typer.Option(
            "--until-decided",
            help="Add seeds where the runs cannot tell: look at 5, then 10, then 20, with wider intervals, so that "
            "all looks together are wrong in at most 5 %.",
        ),
    ] = False,
    at_most: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="With --until-decided: the last look, at least 5; default 20.", show_default=False
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Also copy the report, tables and figures to this folder.")] = None,
    jobs: Jobs = 0,
    config_dir: ConfigDir = None,
    style: StyleName = Style.DEFAULT,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only print its parts, what they would cost, and its claims.")
    ] = False,
) -> None:
    """Redraw the figures of a paper and check its claims: [bold]normexp reproduce xiong2020 --quick[/].

    The same command again resumes what was interrupted and redraws what is finished.
    More seeds reuse the runs of fewer.
    A claim that does not hold is a result, not an error: the exit code is 0 unless a run failed.
    """
    with bad_input():
        from normexp.studies import claims_table, overview, runner
        from normexp.studies.seeds import chosen

        number = chosen(seeds, until_decided, at_most)
        if not study:
            print_out(overview.list_studies(results_folder(), config_dir or []))
            return
        size = "quick" if quick else "full"
        if dry_run:
            print_out(overview.dry_run(study, size, results_folder(), config_dir or [], jobs, number))
            return
        with interruptible():
            done = runner.reproduce(
                study,
                size,
                results_folder(),
                out,
                config_dir or [],
                jobs,
                lambda text: typer.echo(text, err=True),
                seeds=number,
                drawn_for=style,
            )
        if done.missing:
            logs = ", ".join(str(run / "log.txt") for run in done.missing[:3])
            more = f" and {len(done.missing) - 3} more" if len(done.missing) > 3 else ""
            typer.echo(f"error: runs of {study} failed, so nothing is drawn; see {logs}{more}", err=True)
            raise typer.Exit(1)
        if done.claims:
            print_out(claims_table.table(done.claims, done.title, done.notes), markup=True)
        for path in (done.folder / "report.md", *done.figures):
            typer.echo(path)


def _run(
    command: str,
    overrides: list[str] | None,
    config_dir: list[str] | None,
    name: str,
    jobs: int,
    pool: str = "",
    dry_run: bool = False,
    estimate: bool = False,
    yes: bool = False,
    submit: bool = False,
) -> None:
    with bad_input():
        from normexp.sweep.plan import default_jobs, plan
        from normexp.sweep.pools import ELSEWHERE, make_pool
        from normexp.sweep.progress import count_of

        remote = pool in ELSEWHERE
        sweep = plan(command, overrides or [], config_dirs=config_dir or [], name=name, many=yes, elsewhere=remote)
        if submit and pool != "slurm":
            raise ConfigError("--submit needs --pool slurm")
        workers = make_pool(pool, sweep, jobs)
        if dry_run or estimate:
            from normexp.sweep import estimate as costs

            typer.echo(f"{count_of(len(sweep.runs))} planned; estimating what they cost", err=True)
            hint = "--estimate measures what they cost"
            print_out(costs.dry_run(sweep, jobs or default_jobs(sweep), measure=estimate, hint=hint))
            return
        from normexp.records.folder import ensure_writable_dir
        from normexp.sweep.executor import run_sweep

        ensure_writable_dir(sweep.results, "results")
        typer.echo(f"{count_of(len(sweep.runs))} in {sweep.path}", err=True)
        if submit:
            with interruptible():
                _submit(sweep, workers)
            return
        with interruptible():
            complete = run_sweep(sweep, workers, lambda text: typer.echo(text, err=True))
        _report(sweep)
        raise typer.Exit(0 if complete else 1)


def _submit(sweep: "Sweep", pool: "Pool") -> None:
    """Submit the runs that are not complete and return; those that already have a job keep it."""
    from normexp.sweep.executor import leaders, prepare, writing
    from normexp.sweep.pools.slurm import SlurmPool
    from normexp.sweep.progress import count_of

    assert isinstance(pool, SlurmPool)
    queued = pool.queued()
    with writing():
        todo = prepare(sweep, lambda text: typer.echo(text, err=True), leave=queued)
        jobs = pool.submit([folder.path for folder in leaders(sweep, todo)]) if todo else {}
    already = f", {count_of(len(queued))} in a job already" if queued else ""
    numbers = ", ".join(sorted({job.partition("_")[0] for job in jobs.values()}))
    typer.echo(f"{count_of(len(todo))} submitted" + (f" as job {numbers}" if jobs else "") + already)
    typer.echo(f"normexp status {sweep.path} shows their progress", err=True)


def _report(sweep: "Sweep") -> None:
    """What a finished sweep ends with: its table, what that shows in sentences, its figures, its report.

    Those of a large sweep are not drawn again where no run has changed since.
    """
    from normexp.views import sentences
    from normexp.views.figure_files import up_to_date
    from normexp.views.figures import draw
    from normexp.views.report import write
    from normexp.views.runs import load_runs
    from normexp.views.table import table

    path = sweep.path if sweep.swept else sweep.folders[0].path
    runs = load_runs(path)
    print_out(table(runs))
    for sentence in sentences.summary(runs):
        typer.echo(sentence)
    drawn, report = up_to_date(path, runs), path / "report.html"
    later = report.exists() and all(report.stat().st_mtime >= each.stat().st_mtime for each in drawn)
    if len(runs) >= LARGE and drawn and later:
        typer.echo("\n".join(map(str, (*drawn, report))))
        typer.echo(f"these are up to date; normexp figures {path} draws them again", err=True)
        return
    try:
        for each in draw(path):
            typer.echo(each)
        typer.echo(write(path))
    except ConfigError as error:  # when every run failed at once, there is nothing to draw
        typer.echo(f"no figures: {error}", err=True)
