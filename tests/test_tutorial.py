"""The tutorial, from its first command to its notebook, with models of a size that takes seconds."""

import re
import runpy
import shlex
from pathlib import Path

import nbformat
import pytest

from tests.support.cli import in_process
from tests.support.notebooks import executed, outputs_of

ROOT = Path(__file__).parents[1]
tutorial = runpy.run_path(str(ROOT / "scripts" / "tutorial.py"))
TUTORIAL = tutorial["TUTORIAL"]
STEPS = re.split(r"^## ", TUTORIAL, flags=re.MULTILINE)[1:]
SMALL = ["model.width=16", "model.feed_forward=16", "--jobs=1"]


def in_short(command: str) -> list[str]:
    """The command with few steps of shallow, narrow models."""
    words = [re.sub(r"^depth=(\d+)(,\d+)?$", lambda m: "depth=1,2" if m[2] else "depth=2", w) for w in
             shlex.split(command)[1:]]  # fmt: skip
    small = {"sweep": [*SMALL, "steps=4"], "probe": SMALL}
    return [*words, *small.get(words[0], [])]


def test_every_step_is_one_command_and_two_sentences():
    for step in STEPS[:-1]:
        assert len(re.findall(r"^normexp ", step, re.MULTILINE)) == 1, step
        said = " ".join(re.sub(r"```.*?```|`lab/[^`]*`:|\[.*?\]\(.*?\)", "", step, flags=re.DOTALL).split("\n")[1:])
        said = re.sub(r"`[^`]*`", "x", said)
        assert 2 <= len(re.findall(r"[.?](?:\s|$)", said)) <= 3, said


def test_the_notebook_has_ten_lines():
    (code,) = re.findall(r"```python\n(import normexp\n.*?)```", TUTORIAL, re.DOTALL)
    assert len(code.splitlines()) <= 10


@pytest.mark.slow
@pytest.mark.usefixtures("no_pdf", "no_workers")
def test_every_command_works_in_its_turn(outside):
    tutorial["write_files"](outside)
    for command in tutorial["commands"]():
        done = in_process(*in_short(command))
        assert done.exit_code == 0, (command, done.stderr)
        assert done.stdout.strip(), command
    assert (outside / "no_residual.svg").is_file()
    figures = {path.name for path in outside.glob("results/*/figures/*.png")}
    assert {"loss_curves.png", "gradient_norms.png"} <= figures
    assert any(re.fullmatch(r"probe_position_r2(-.*)?\.png", name) for name in figures)

    (code,) = re.findall(r"```python\n(import normexp\n.*?)```", TUTORIAL, re.DOTALL)
    book = nbformat.v4.new_notebook()
    book.cells = [nbformat.v4.new_code_cell(part) for part in code.splitlines()]
    nbformat.write(book, outside / "stranger.ipynb")
    shown = [outputs_of(cell) for cell in executed(outside / "stranger.ipynb").cells]
    printed = "".join(each.get("printed", "") for each in shown)
    assert "no_residual" in printed
    assert r"\toprule" in printed
    assert sum("image/png" in each for each in shown) == 2  # the plot and the figure
