"""Every example of the guides, followed to the letter from a folder outside the repository."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from normexp.cli import app
from normexp.sweep.plan import plan

ROOT = Path(__file__).parents[1]
GUIDES = ["normexp/variants", "normexp/probes", "normexp/studies", "configs"]
SMALL = ["steps=4", "model.width=16", "model.feed_forward=16", "training.batch_tokens=400", "record.sentences=4"]
QUICK = ["--quick", "model.width=16", "model.feed_forward=16", "training.batch_tokens=400"]
LONGEST = 20  # lines of one file
SECTIONS = ["Blocks", "Equal size, equal cost"]  # of configs


def files_of(guide: str) -> dict[str, str]:
    """The blocks of code that follow the name of a file in lab/."""
    text = (ROOT / guide / "README.md").read_text()
    return dict(re.findall(r"`(lab/[\w/.]+)`:\n\n```(?:python|yaml)\n(.*?)```", text, flags=re.DOTALL))


def commands_of(guide: str) -> list[list[str]]:
    """The commands with --config-dir lab, of blocks of shell and of sentences."""
    text = (ROOT / guide / "README.md").read_text()
    found = re.findall(r"(?:^|`)(normexp [^`\n]*--config-dir lab[^`\n]*)", text, flags=re.MULTILINE)
    return [shlex.split(command)[1:] for command in found]


@pytest.mark.slow
@pytest.mark.usefixtures("svg_alone", "no_workers")
@pytest.mark.parametrize("guide", GUIDES)
def test_examples_work_as_written(guide, outside):
    files, commands = files_of(guide), commands_of(guide)
    assert files
    assert commands
    for name, text in files.items():
        assert len(text.splitlines()) <= LONGEST, name
        (outside / name).parent.mkdir(parents=True, exist_ok=True)
        (outside / name).write_text(text)
    for command in commands:
        trains = command[0] in ("train", "sweep", "probe")
        more = [*SMALL, "depth=1"] if trains else QUICK if command[0] == "card" else []
        done = CliRunner().invoke(app, [*command, *more], catch_exceptions=False)
        assert done.exit_code == 0, (command, done.stderr)
        assert done.stdout.strip(), command


@pytest.mark.slow
@pytest.mark.parametrize("section", SECTIONS)
def test_commands_of_a_section_plan_as_written(section, outside):
    """What would take hours to train is planned only; its runs have different identities."""
    text = (ROOT / "configs" / "README.md").read_text().partition(f"## {section}\n")[2].partition("\n## ")[0]
    commands = re.findall(r"^normexp (sweep .*)$", text, flags=re.MULTILINE)
    assert commands
    for command, *overrides in map(shlex.split, commands):
        assert len(plan(command, overrides).runs) > 1


def test_every_guide_is_linked_from_the_readme():
    text = (ROOT / "README.md").read_text()
    assert [guide for guide in GUIDES if f"({guide}/README.md)" not in text] == []
