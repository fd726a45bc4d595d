"""The commands that keep things in order: clean and doctor."""

from typing import Annotated

import typer

from normexp.cli.options import Folder
from normexp.cli.shell import bad_input, existing
from normexp.config.schema import results_folder


def clean(
    folder: Folder = None,
    yes: Annotated[bool, typer.Option("--yes", help="Remove without asking.")] = False,
) -> None:
    """List, then remove, runs in DIR (default: all results) that were interrupted, failed or have a damaged status."""
    with bad_input():
        from normexp.records.clean import remove, to_remove
        from normexp.records.reading import visible
        from normexp.sweep.pools.slurm_queue import queued
        from normexp.sweep.progress import count_of
        from normexp.views.runs import find_runs

        found = to_remove(find_runs(existing(folder)))
        waiting = queued(run.path for run, _ in found)  # a run that was preempted, which its job will continue
        found = [(run, state) for run, state in found if run.path not in waiting]
        if not found:
            typer.echo("nothing to remove: no run was interrupted, failed or is damaged")
            return
        for run, state in found:
            typer.echo(f"{state}: {visible(str(run.path))}")
        if not yes and not typer.confirm(f"Delete {count_of(len(found))} with all files?"):
            raise typer.Exit(1)
        removed = remove(run for run, _ in found)
        typer.echo(f"removed {removed}")
        if skipped := len(found) - removed:
            typer.echo(f"skipped {skipped}, which another command has resumed or removed meanwhile")


def doctor() -> None:
    """Print what this machine has: the block that a bug report needs."""
    from normexp.records.doctor import report

    for name, value in report(results_folder()):
        typer.echo(f"{name}: {value}")
