"""The commands that only read: what a config means, and what finished runs show."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from normexp.cli.options import ConfigDir, Folder, Offline, Overrides, Style, StyleName
from normexp.cli.shell import bad_input, existing, interruptible, print_out, set_hub
from normexp.errors import ConfigError
from normexp.trackers import TRACKERS


def show(
    overrides: Overrides = None,
    config_dir: ConfigDir = None,
    every: Annotated[bool, typer.Option("--all", help="Print every setting, not only those that you changed.")] = False,
    diagram: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw its layers to an SVG, PDF or PNG file instead.", show_default=False),
    ] = None,
    offline: Offline = False,
) -> None:
    """Print what a config builds: its graph as equations, its constants, its size, and the settings you changed.

    With a key instead of KEY=VALUE, explain the key: [bold]normexp show norm.eps[/].
    """
    set_hub(offline)
    with bad_input():
        words = overrides or []
        if words and not any("=" in word for word in words):
            if diagram:
                raise ConfigError("--diagram draws a model; it cannot be used with a key to explain")
            from normexp.config.compose import Composer
            from normexp.views.explain import explain

            composer = Composer("train", config_dir or [])
            typer.echo("\n\n".join(explain(word, composer) for word in words))
            return
        from normexp.sweep.plan import plan

        # An experiment may have a grid, of which the first run is shown.
        command = "sweep" if any(word.startswith("experiment=") for word in words) else "train"
        config = plan(command, words, config_dirs=config_dir or []).runs[0].config
        default = plan("train", [], config_dirs=config_dir or []).runs[0].config
        if diagram:
            from normexp.views.diagram import write_diagram

            typer.echo(write_diagram(config, diagram))
            return
        from normexp.views.show import describe

        typer.echo(describe(config, None if every else default))


def variants(
    word: Annotated[
        str, typer.Argument(metavar="WORD", help="Only those with this word in name, equation, paper or family.")
    ] = "",
    config_dir: ConfigDir = None,
) -> None:
    """List the variants: name, equation, paper. [bold]normexp variants hyper[/] searches."""
    with bad_input():
        from normexp.config.compose import Composer
        from normexp.views.variants_table import list_variants

        print_out(list_variants(Composer("train", config_dir or []), word))


def results(
    folder: Folder = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="First repair what is damaged, by running it again where that is needed.")
    ] = False,
    csv: Annotated[bool, typer.Option("--csv", help="One row per run, all columns, as CSV.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="The table as Markdown.")] = False,
    latex: Annotated[bool, typer.Option("--latex", help="The table for LaTeX with booktabs.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="All that every run recorded, probes too, as JSON.")] = False,
    parquet: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT", help="Write runs and all they recorded to this folder, as parquet.", show_default=False
        ),
    ] = None,
) -> None:
    """Print the table of the runs in DIR (default: all results), or export them."""
    with bad_input():
        asked = {"--csv": csv, "--markdown": markdown, "--latex": latex, "--json": as_json, "--parquet": parquet}
        chosen = [option for option, given in asked.items() if given]
        if len(chosen) > 1:
            raise ConfigError(f"{' and '.join(chosen)} cannot be used together; choose one")
        from normexp.views import exports, table
        from normexp.views.published import load

        if repair:
            repair_runs(existing(folder))
        runs = load(existing(folder))
        if parquet:
            for path in exports.parquet(runs, parquet):
                typer.echo(path)
        elif chosen:
            write = {
                "--csv": table.csv,
                "--markdown": table.markdown,
                "--latex": exports.latex,
                "--json": exports.as_json,
            }
            sys.stdout.write(write[chosen[0]](runs))
        else:
            print_out(table.table(runs))


def status(folder: Folder = None) -> None:
    """Print how the runs of a sweep are doing, on this machine or in a Slurm queue: states, jobs, logs, what failed."""
    with bad_input():
        from normexp.sweep.status import describe
        from normexp.views.runs import in_order

        print_out(describe(in_order(existing(folder))))


def repair_runs(folder: Path) -> None:
    """Repair the damaged runs in a folder and say what was done, on stderr."""
    from normexp.records.reading import visible
    from normexp.sweep.repair import repair
    from normexp.views.runs import find_runs

    with interruptible():
        if not repair(find_runs(folder), lambda line: typer.echo(visible(line), err=True)):
            typer.echo("not every damaged run could be repaired", err=True)


def figures(
    folder: Folder = None,
    out: Annotated[Path | None, typer.Option(help="Output folder; by default DIR/figures.")] = None,
    style: StyleName = Style.DEFAULT,
) -> None:
    """Draw the figures of the runs in DIR (default: all results) from their tables."""
    with bad_input():
        from normexp.records.reading import visible
        from normexp.views.figures import draw

        for path in draw(existing(folder), out, style):
            typer.echo(visible(str(path)))


def sample(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run, or a folder of up to 20.")],
    text: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT", help="What the model reads; by default texts of the test part."),
    ] = None,
    count: Annotated[int, typer.Option(metavar="N", help="Texts of the test part, without TEXT.", min=1)] = 5,
    tokens: Annotated[int, typer.Option(metavar="N", help="Tokens of a continuation, at most.", min=1)] = 64,
    trust: Annotated[bool, typer.Option("--trust", help="Import the user's own classes that the run names.")] = False,
) -> None:
    """Print what a trained model answers: a translation, a continuation of a text, or its most probable classes.

    Several runs answer the same texts one below the other: [bold]normexp sample results/train "march 4, 1987"[/].
    """
    with bad_input():
        from normexp.answers import ask

        asked = ask(existing(run, "RUN"), text or [], count, tokens, trust=trust)
        typer.echo("\n\n".join("\n".join(each.lines()) for each in asked))


def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="A run, or a folder of runs.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another one.")],
    out: Annotated[Path | None, typer.Option(help="Folder for the figures; by default A/figures.")] = None,
) -> None:
    """Print what differs between two runs or sweeps: configuration, graph, losses, gradient norms by layer."""
    with bad_input():
        from normexp.records.reading import visible
        from normexp.views import compare as comparison

        sides = comparison.sides(existing(first, "A"), existing(second, "B"))
        typer.echo(comparison.compare(*sides) + "\n")
        for path in comparison.draw(*sides, out or first / "figures"):
            typer.echo(visible(str(path)))


def report(
    folder: Folder = None,
    out: Annotated[Path | None, typer.Option(help="Output file; by default DIR/report.html or .ipynb.")] = None,
    notebook: Annotated[bool, typer.Option("--notebook", help="Write a notebook, whose cells draw it again.")] = False,
) -> None:
    """Write one HTML page about the sweeps and studies in DIR (default: all results), to read or to pass on."""
    with bad_input():
        from normexp.views.report import write

        typer.echo(write(existing(folder), out, notebook=notebook))


def export(
    tracker: Annotated[
        str, typer.Argument(metavar="TRACKER", help=f"{', '.join(TRACKERS)}.", autocompletion=lambda: list(TRACKERS))
    ],
    folder: Folder = None,
    project: Annotated[str, typer.Option(metavar="NAME", help="Project or experiment in the tracker.")] = "normexp",
) -> None:
    """Write the completed runs in DIR (default: all results) to an experiment tracker, from their tables.

    Where they go follows from the tracker's own settings, such as WANDB_MODE=offline, MLFLOW_TRACKING_URI and
    TRACKIO_DIR. Runs that were exported before are skipped.
    """
    with bad_input():
        from normexp.trackers.measured import measured
        from normexp.trackers.tracker import connect
        from normexp.trackers.tracker import export as write
        from normexp.views.runs import load_runs

        connected = connect(tracker, project)
        for line in write(tracker, connected, measured(load_runs(existing(folder)))):
            typer.echo(line)


def tensorboard(
    folder: Folder = None,
    port: Annotated[int, typer.Option(help="0 takes a free port.", min=0, max=65535)] = 6006,
    host: Annotated[str, typer.Option(help="Address to bind to.")] = "127.0.0.1",
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
) -> None:
    """Open TensorBoard on the runs in DIR (default: all results)."""
    with bad_input():
        from normexp.views.tensorboard import serve

        raise typer.Exit(serve(existing(folder), port, host, browser))
