"""The command line in this process, which is faster than one of its own."""

from typer.testing import CliRunner, Result

from normexp.cli import app


def in_process(*words: str) -> Result:
    """What a command prints, 200 columns wide, and its exit code."""
    return CliRunner().invoke(app, list(words), env={"COLUMNS": "200"}, catch_exceptions=False)
