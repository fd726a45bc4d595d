"""The commands. Nothing heavy is imported before a command needs it."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer

from normexp import __version__
from normexp.config.schema import CHOICES, CLASSES, configs_folder, described
from normexp.errors import ConfigError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="How Transformers train with depth, depending on where the norm and the residual connection sit.\n\n"
    "Try [bold]normexp sweep depth=6,12,18[/]: it trains Post-LN, Pre-LN and no-residual stacks on an embedded "
    "translation task, offline, in minutes, and draws the figures.",
)


def _keys() -> str:
    """The keys that people set, each with its meaning; groups with what configs/ offers."""
    lines = ["[bold]Keys[/]"]
    for name, field in described():
        choices = sorted(path.stem for path in configs_folder().joinpath(name).glob("*.yaml"))
        if "." not in name and name not in HOUSEKEEPING:
            lines.append(f"[bold]{name}[/]  {field.metadata['help']}" + (f": {', '.join(choices)}" if choices else ""))
    for group in CHOICES:
        if group not in CLASSES:
            offered = ", ".join(sorted(path.stem for path in configs_folder().joinpath(group).glob("*.yaml")))
            lines.append(f"[bold]{group}[/]  {offered}")
    lines.append(
        "Several probes are [bold]probe=\\[stream,dependency][/]; their options are probes.output_shift.noise, …"
    )
    lines.append("All others, such as model.dropout or training.amp, are what [bold]normexp show[/] prints.")
    return "\n\n".join(lines)


HOUSEKEEPING = ("name", "results", "config_dirs", "probes")
KEYS = _keys()
Line = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE", help="Overrides in Hydra's grammar.", show_default=False),
]
ConfigDir = Annotated[
    list[str],
    typer.Option("--config-dir", metavar="DIR", help="Adds your own configs and the classes beside them."),
]
Name = Annotated[str, typer.Option(help="The sweep's name; by default one made from the line's keys.")]
Folder = Annotated[Path | None, typer.Argument(metavar="DIR", help="Runs, or folders of runs.", show_default=False)]


@app.command(epilog=KEYS)
def train(
    line: Line = None,
    config_dir: ConfigDir = [],  # noqa: B006
    name: Name = "",
) -> None:
    """Train one run: [bold]normexp train variant=pre_ln depth=12[/]."""
    _run("train", line, config_dir, name, jobs=1, dry_run=False)


@app.command(epilog=KEYS)
def sweep(
    line: Line = None,
    config_dir: ConfigDir = [],  # noqa: B006
    name: Name = "",
    jobs: Annotated[int, typer.Option(help="Cells at a time; 0 is one per core, or one on a GPU.", min=0)] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the cells and what each would cost.")] = False,
) -> None:
    """Train a grid: [bold]normexp sweep depth=6,12,18 'seed=range(3)'[/].

    Unless the line names a variant, post_ln, pre_ln and no_residual are compared.

    The same command again skips what is complete and goes on with what was interrupted.
    """
    _run("sweep", line, config_dir, name, jobs, dry_run)


@app.command(epilog=KEYS)
def probe(
    line: Line = None,
    config_dir: ConfigDir = [],  # noqa: B006
    name: Name = "",
    jobs: Annotated[int, typer.Option(help="Models at a time; 0 is one per core, or one on a GPU.", min=0)] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the cells and what each would cost.")] = False,
) -> None:
    """Measure models as they start, without training: [bold]normexp probe depth=6,18 probe=\\[stream,dependency][/].

    Any size will do, up to the papers' own: [bold]model=base[/]. The same probes measure a training every
    [bold]probe.every[/] steps: [bold]normexp sweep depth=6 probe=\\[gradient_norm,stream][/].
    """
    _run("probe", line, config_dir, name, jobs, dry_run)


@app.command()
def show(line: Line = None, config_dir: ConfigDir = []) -> None:  # noqa: B006
    """Print what a config means: all keys, the graph at every kind of site, constants, parameters."""
    with _bad_input():
        from normexp.config.compose import compose

        planned, _ = compose("train", line or [], config_dirs=config_dir)
        from normexp.views.show import describe

        typer.echo(describe(planned.cells[0].config))


@app.command()
def variants(config_dir: ConfigDir = []) -> None:  # noqa: B006
    """List the variants: name, equation, paper."""
    with _bad_input():
        from normexp.config.compose import Composer
        from normexp.views.show import list_variants

        _print(list_variants(Composer("train", config_dir)))


@app.command()
def reproduce(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="Without it: the studies that there are.")] = "",
    quick: Annotated[bool, typer.Option("--quick", help="Minutes, five variants; else all, hours.")] = False,
    out: Annotated[Path | None, typer.Option(help="Also copy report, tables and figures there.")] = None,
    jobs: Annotated[int, typer.Option(help="Runs at a time; 0 is one per core, or one on a GPU.", min=0)] = 0,
    config_dir: ConfigDir = [],  # noqa: B006
) -> None:
    """Redraw the figures of a paper and say which of its claims hold: [bold]normexp reproduce xiong2020 --quick[/].

    The same command again continues what was interrupted, or redraws what is finished. Verdicts are results: the exit
    code is 0 whatever they are, and 1 only where a run failed.
    """
    with _bad_input():
        from normexp.studies import claims_table, runner

        if not study:
            _print(runner.list_studies(config_dir))
            return
        results = Path(os.environ.get("NORMEXP_RESULTS") or "results")
        with _interruptible():
            size = "quick" if quick else "full"
            done = runner.reproduce(
                study, size, results, out, config_dir, jobs, lambda line: typer.echo(line, err=True)
            )
        if done.missing:
            logs = ", ".join(str(run / "log.txt") for run in done.missing[:3])
            more = f" and {len(done.missing) - 3} more" if len(done.missing) > 3 else ""
            typer.echo(f"error: runs of {study} failed, so nothing is drawn; the logs: {logs}{more}", err=True)
            raise typer.Exit(1)
        if done.claims:
            _print(claims_table.table(done.claims, done.title, done.notes))
        for path in (done.folder / "report.md", *done.figures):
            typer.echo(path)


@app.command()
def results(
    folder: Folder = None,
    csv: Annotated[bool, typer.Option("--csv", help="One row per run, all columns, as CSV.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="The table as Markdown.")] = False,
) -> None:
    """Print the table of the runs under DIR (default: all results)."""
    with _bad_input():
        from normexp.views import table
        from normexp.views.runs import load_runs

        runs = load_runs(_existing(folder))
        if csv or markdown:
            sys.stdout.write(table.csv(runs) if csv else table.markdown(runs))
        else:
            _print(table.table(runs))


@app.command()
def figures(
    folder: Folder = None,
    out: Annotated[Path | None, typer.Option(help="Where to put them; by default DIR/figures.")] = None,
) -> None:
    """Draw the figures of the runs under DIR (default: all results) from their tables, as PNG and SVG."""
    with _bad_input():
        from normexp.views.figures import draw

        for path in draw(_existing(folder), out):
            typer.echo(path)


@app.command()
def tensorboard(
    folder: Folder = None,
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 6006,
    host: str = "127.0.0.1",
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
) -> None:
    """Open TensorBoard on the runs under DIR (default: all results)."""
    with _bad_input():
        from normexp.views.tensorboard import serve

        raise typer.Exit(serve(_existing(folder), port, host, browser))


def _run(command: str, line: list[str] | None, config_dir: list[str], name: str, jobs: int, dry_run: bool) -> None:
    with _bad_input():
        from normexp.config.compose import compose, default_jobs

        planned, composer = compose(command, line or [], config_dirs=config_dir, name=name)
        jobs = jobs or default_jobs(planned)
        if dry_run:
            from normexp.views.show import estimate

            _print(estimate(planned, jobs))
            return
        from normexp.records.folder import made
        from normexp.sweep.executor import run_sweep

        made(planned.results, "results")
        typer.echo(f"{len(planned.cells)} {'cell' if len(planned.cells) == 1 else 'cells'} in {planned.path}", err=True)
        with _interruptible():
            complete = run_sweep(planned, composer, jobs)
        _report(planned.path if planned.swept else planned.folder(planned.cells[0]).path)
        raise typer.Exit(0 if complete else 1)


def _report(path: Path) -> None:
    """What a finished sweep ends with: its table and its figures."""
    from normexp.views.figures import draw
    from normexp.views.runs import load_runs
    from normexp.views.table import table

    _print(table(load_runs(path)))
    with suppress(ConfigError):  # when every cell failed at once, there is nothing to draw
        for drawn in draw(path):
            typer.echo(drawn)


def _existing(folder: Path | None) -> Path:
    folder = folder or Path(os.environ.get("NORMEXP_RESULTS") or "results")
    if not folder.is_dir():
        raise ConfigError(f"{folder}: there is no such folder; give one that holds runs")
    return folder


def _print(what: object) -> None:
    from rich.console import Console

    Console(soft_wrap=isinstance(what, str), highlight=False).print(what)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Runs that stop early say so in one line: exit code 1 where the launcher failed, 130 where they were asked to."""
    from normexp.errors import LaunchError

    try:
        yield
    except LaunchError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:  # Typer itself would end without a word
        typer.echo("interrupted; the same command goes on from here", err=True)
        raise typer.Exit(130) from error


@contextmanager
def _bad_input() -> Iterator[None]:
    """Bad input ends in one sentence on stderr and exit code 2, never in a traceback."""
    try:
        yield
    except ConfigError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error


def _version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def normexp(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None: ...


def main() -> None:
    """The entry point: exit code 130 when interrupted or asked to end."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    app()
