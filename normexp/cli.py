"""The commands. Nothing heavy is imported before a command needs it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from normexp import __version__, completion
from normexp.config.schema import CHOICES, CLASSES, LISTS, configs_folder, ignored_keys, iter_keys
from normexp.errors import INTERRUPTED, ConfigError, disk_error

if TYPE_CHECKING:
    from normexp.sweep.plan import Sweep

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="How Transformers train with depth, depending on where the norm and the residual connection sit.\n\n"
    "Try [bold]normexp sweep depth=6,12,18[/]: it trains Post-LN, Pre-LN and no-residual stacks on an embedded "
    "translation task, offline, in minutes, and draws the figures.",
)


class Style(StrEnum):
    """What figures are drawn for, see normexp.views.style."""

    DEFAULT = "default"
    PAPER = "paper"


def _keys() -> str:
    """The keys that people set, each with its meaning, and the names that each group offers."""
    lines = ["[bold]Keys[/]"]
    for name, field in iter_keys():
        if "." not in name and name not in ignored_keys():
            offered = ", ".join(_offered(name))
            lines.append(f"[bold]{name}[/]  {field.metadata['help']}" + (f": {offered}" if offered else ""))
    for group in CHOICES:
        if group not in (*CLASSES, *LISTS.values()):
            lines.append(f"[bold]{group}[/]  {', '.join(_offered(group))}")
    lines.append(
        "Choose several probes with [bold]probe=\\[stream,dependency][/]; set their options as probes.stream.…"
    )
    lines.append("[bold]normexp show[/] prints all other keys, such as model.dropout and training.amp.")
    return "\n\n".join(lines)


def _offered(group: str) -> list[str]:
    return sorted(path.stem for path in configs_folder().joinpath(group).glob("*.yaml"))


PIPED = 1000  # columns of output that goes into a pipe or a file
KEYS = _keys()
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE",
        help="Overrides in Hydra's grammar.",
        show_default=False,
        autocompletion=completion.overrides,
    ),
]
ConfigDir = Annotated[
    list[str] | None,
    typer.Option("--config-dir", metavar="DIR", help="Folder with your own configs and classes.", show_default=False),
]
Name = Annotated[str, typer.Option(help="Name of the sweep; by default it is made from the overrides.")]
Jobs = Annotated[int, typer.Option(help="Runs at a time; 0 means one per core, or one on a GPU.", min=0)]
PoolName = Annotated[
    str, typer.Option("--pool", help="Where runs go: local, or hydra with hydra/launcher=NAME.", show_default="local")
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
    bool, typer.Option("--offline", help="Ask nothing of the Hugging Face Hub; read its datasets from the cache.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Also run more than 10,000 runs.")]
Folder = Annotated[Path | None, typer.Argument(metavar="DIR", help="Runs, or folders of runs.", show_default=False)]


@app.command(epilog=KEYS)
def train(overrides: Overrides = None, config_dir: ConfigDir = None, name: Name = "", offline: Offline = False) -> None:
    """Train one run: [bold]normexp train variant=pre_ln depth=12[/]."""
    _set_hub(offline)
    _run("train", overrides, config_dir, name, jobs=1)


@app.command(epilog=KEYS)
def sweep(
    overrides: Overrides = None,
    config_dir: ConfigDir = None,
    name: Name = "",
    jobs: Jobs = 0,
    pool: PoolName = "",
    dry_run: DryRun = False,
    estimate: Estimate = False,
    offline: Offline = False,
    yes: Yes = False,
) -> None:
    """Train a grid: [bold]normexp sweep depth=6,12,18 'seed=range(3)'[/].

    Without a variant it compares post_ln, pre_ln and no_residual.
    The same command again skips runs that are complete and resumes those that were interrupted.
    """
    _set_hub(offline)
    _run("sweep", overrides, config_dir, name, jobs, pool, dry_run, estimate, yes)


@app.command(epilog=KEYS)
def probe(
    overrides: Overrides = None,
    config_dir: ConfigDir = None,
    name: Name = "",
    jobs: Jobs = 0,
    pool: PoolName = "",
    dry_run: DryRun = False,
    estimate: Estimate = False,
    offline: Offline = False,
    yes: Yes = False,
) -> None:
    """Measure untrained models: [bold]normexp probe depth=6,18 probe=\\[stream,dependency][/].

    Models can have any size, up to the papers' own: [bold]model=base[/]. The same probes measure a training run every
    [bold]probe.every[/] steps: [bold]normexp sweep depth=6 probe=\\[gradient_norm,stream][/].
    """
    _set_hub(offline)
    _run("probe", overrides, config_dir, name, jobs, pool, dry_run, estimate, yes)


@app.command()
def show(
    overrides: Overrides = None,
    config_dir: ConfigDir = None,
    every: Annotated[bool, typer.Option("--all", help="Print every setting, not only those that you changed.")] = False,
    offline: Offline = False,
) -> None:
    """Print what a config builds: its graph as equations, its constants, its size, and the settings you changed.

    With a key instead of KEY=VALUE, explain the key: [bold]normexp show norm.eps[/].
    """
    _set_hub(offline)
    with _bad_input():
        words = overrides or []
        if words and not any("=" in word for word in words):
            from normexp.config.compose import Composer
            from normexp.views.explain import explain

            composer = Composer("train", config_dir or [])
            typer.echo("\n\n".join(explain(word, composer) for word in words))
            return
        from normexp.sweep.plan import plan

        config, default = (plan("train", given, config_dirs=config_dir or []).runs[0].config for given in (words, []))
        from normexp.views.show import describe

        typer.echo(describe(config, None if every else default))


@app.command()
def variants(
    word: Annotated[
        str, typer.Argument(metavar="WORD", help="Only those with this word in name, equation or paper.")
    ] = "",
    config_dir: ConfigDir = None,
) -> None:
    """List the variants: name, equation, paper. [bold]normexp variants hyper[/] searches."""
    with _bad_input():
        from normexp.config.compose import Composer
        from normexp.views.variants_table import list_variants

        _print(list_variants(Composer("train", config_dir or []), word))


@app.command()
def reproduce(
    study: Annotated[
        str,
        typer.Argument(metavar="STUDY", help="Without it, list the studies.", autocompletion=completion.studies),
    ] = "",
    quick: Annotated[
        bool, typer.Option("--quick", help="Minutes, five variants; otherwise all variants, hours.")
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
            help="Add seeds where the runs cannot tell: look at 5, then 10, then 20, with longer intervals, so that "
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
) -> None:
    """Redraw the figures of a paper and check its claims: [bold]normexp reproduce xiong2020 --quick[/].

    The same command again resumes what was interrupted and redraws what is finished.
    More seeds reuse the runs of fewer.
    A claim that does not hold is a result, not an error: the exit code is 0 unless a run failed.
    """
    with _bad_input():
        from normexp.studies import claims_table, runner
        from normexp.studies.seeds import chosen

        number = chosen(seeds, until_decided, at_most)
        if not study:
            _print(runner.list_studies(config_dir or []))
            return
        with _interruptible():
            size = "quick" if quick else "full"
            done = runner.reproduce(
                *(study, size, _results(), out, config_dir or [], jobs, lambda text: typer.echo(text, err=True)),
                seeds=number,
                drawn_for=style,
            )
        if done.missing:
            logs = ", ".join(str(run / "log.txt") for run in done.missing[:3])
            more = f" and {len(done.missing) - 3} more" if len(done.missing) > 3 else ""
            typer.echo(f"error: runs of {study} failed, so nothing is drawn; see {logs}{more}", err=True)
            raise typer.Exit(1)
        if done.claims:
            _print(claims_table.table(done.claims, done.title, done.notes), markup=True)
        for path in (done.folder / "report.md", *done.figures):
            typer.echo(path)


@app.command()
def results(
    folder: Folder = None,
    csv: Annotated[bool, typer.Option("--csv", help="One row per run, all columns, as CSV.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="The table as Markdown.")] = False,
    latex: Annotated[bool, typer.Option("--latex", help="The table for LaTeX with booktabs.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="All of every run, readings of probes too, as JSON.")] = False,
    parquet: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT", help="Write runs and all they recorded to this folder, as parquet.", show_default=False
        ),
    ] = None,
) -> None:
    """Print the table of the runs in DIR (default: all results), or export them."""
    with _bad_input():
        asked = {"--csv": csv, "--markdown": markdown, "--latex": latex, "--json": as_json, "--parquet": parquet}
        chosen = [option for option, given in asked.items() if given]
        if len(chosen) > 1:
            raise ConfigError(f"{' and '.join(chosen)} cannot be used together; choose one")
        from normexp.views import exports, table
        from normexp.views.published import load

        runs = load(_existing(folder))
        if parquet:
            for path in exports.parquet(runs, parquet):
                typer.echo(path)
        elif chosen:
            write = {"--csv": table.csv, "--markdown": table.markdown, "--latex": exports.latex}
            sys.stdout.write(write.get(chosen[0], exports.as_json)(runs))
        else:
            _print(table.table(runs))


@app.command()
def figures(
    folder: Folder = None,
    out: Annotated[Path | None, typer.Option(help="Output folder; by default DIR/figures.")] = None,
    style: StyleName = Style.DEFAULT,
) -> None:
    """Draw the figures of the runs in DIR (default: all results) from their tables."""
    with _bad_input():
        from normexp.views.figures import draw

        for path in draw(_existing(folder), out, style):
            typer.echo(path)


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="A run, or a folder of runs.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another one.")],
    out: Annotated[Path | None, typer.Option(help="Folder for the figures; by default A/figures.")] = None,
) -> None:
    """Print what differs between two runs or sweeps: configuration, graph, losses, gradient norms by layer."""
    with _bad_input():
        from normexp.views import compare as comparison

        sides = comparison.sides(_existing(first), _existing(second))
        typer.echo(comparison.compare(*sides) + "\n")
        for path in comparison.draw(*sides, out or first / "figures"):
            typer.echo(path)


@app.command()
def report(
    folder: Folder = None,
    out: Annotated[Path | None, typer.Option(help="Output file; by default DIR/report.html.")] = None,
) -> None:
    """Write one HTML page about the sweeps and studies in DIR (default: all results), to read or to pass on."""
    with _bad_input():
        from normexp.views.report import write

        typer.echo(write(_existing(folder), out))


@app.command()
def tensorboard(
    folder: Folder = None,
    port: Annotated[int, typer.Option(help="0 takes a free port.")] = 6006,
    host: Annotated[str, typer.Option(help="Address to bind to.")] = "127.0.0.1",
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
) -> None:
    """Open TensorBoard on the runs in DIR (default: all results)."""
    with _bad_input():
        from normexp.views.tensorboard import serve

        raise typer.Exit(serve(_existing(folder), port, host, browser))


@app.command()
def clean(
    folder: Folder = None,
    yes: Annotated[bool, typer.Option("--yes", help="Remove without asking.")] = False,
) -> None:
    """Remove runs in DIR (default: all results) that were interrupted, failed or are damaged, after listing them."""
    with _bad_input():
        from normexp.records.clean import remove, to_remove
        from normexp.records.reading import visible
        from normexp.views.runs import find_runs

        found = to_remove(find_runs(_existing(folder)))
        if not found:
            typer.echo("nothing to remove: no run was interrupted, failed or is damaged")
            return
        for run, state in found:
            typer.echo(f"{state}: {visible(str(run.path))}")
        if not yes and not typer.confirm(f"Remove {len(found)} of the run folders in full?"):
            raise typer.Exit(1)
        remove(run for run, _ in found)
        typer.echo(f"removed {len(found)}")


@app.command()
def doctor() -> None:
    """Print what this machine has: the block that a bug report needs."""
    from normexp.records.doctor import report

    for name, value in report(_results()):
        typer.echo(f"{name}: {value}")


def _set_hub(offline: bool) -> None:
    """Environment of the Hub's client, for this process and its workers; the client reads it when it is imported."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # it would ask one thing more where there is no network
    if offline:
        os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1")


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
) -> None:
    with _bad_input():
        from normexp.sweep.plan import default_jobs, plan
        from normexp.sweep.progress import count_of

        sweep = plan(command, overrides or [], config_dirs=config_dir or [], name=name, many=yes)
        if dry_run or estimate:
            from normexp.sweep import estimate as costs

            _print(costs.dry_run(sweep, jobs or default_jobs(sweep), measure=estimate))
            return
        from normexp.records.folder import ensure_writable_dir
        from normexp.sweep.executor import run_sweep
        from normexp.sweep.pools import make_pool

        workers = make_pool(pool, sweep, jobs)
        ensure_writable_dir(sweep.results, "results")
        typer.echo(f"{count_of(len(sweep.runs))} in {sweep.path}", err=True)
        with _interruptible():
            complete = run_sweep(sweep, workers, lambda text: typer.echo(text, err=True))
        _report(sweep)
        raise typer.Exit(0 if complete else 1)


def _report(sweep: "Sweep") -> None:
    """What a finished sweep ends with: its table, what that shows in sentences, its figures, its report."""
    from normexp.views import sentences
    from normexp.views.figures import draw
    from normexp.views.report import write
    from normexp.views.runs import load_runs
    from normexp.views.table import table

    path = sweep.path if sweep.swept else sweep.folders[0].path
    runs = load_runs(path)
    _print(table(runs))
    for sentence in sentences.summary(runs):
        typer.echo(sentence)
    with suppress(ConfigError):  # when every run failed at once, there is nothing to draw
        for drawn in draw(path):
            typer.echo(drawn)
        typer.echo(write(path))


def _results() -> Path:
    return Path(os.environ.get("NORMEXP_RESULTS") or "results")


def _existing(folder: Path | None) -> Path:
    folder = folder or _results()
    if not folder.is_dir():
        raise ConfigError(f"DIR must be an existing folder with runs; got {folder}")
    return folder


def _print(what: object, *, markup: bool = False) -> None:
    """Print for a terminal; without one, in as wide lines as the text needs.

    markup: whether square brackets style the text, which must then be normexp's own.
    """
    from rich.console import Console

    console = Console(soft_wrap=isinstance(what, str), highlight=False, markup=markup, emoji=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = PIPED
    console.print(what)


@contextmanager
def _interruptible() -> Iterator[None]:
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
def _bad_input() -> Iterator[None]:
    """Bad input ends in one sentence on stderr and exit code 2, a full disk in one and 1; neither in a traceback."""
    try:
        yield
    except ConfigError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error
    except OSError as error:
        if not (reason := disk_error(error)):
            raise
        typer.echo(f"error: {reason}", err=True)
        raise typer.Exit(1) from error


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
