"""The commands of "Your own data" in the guide to configs, as written, on files of these names."""

import json
import re
import shlex
from pathlib import Path

import pytest

from tests.support.cli import in_process
from tests.support.files import pairs, write_table

GUIDE = (Path(__file__).parents[2] / "configs" / "README.md").read_text()
COMMANDS = [shlex.split(line)[1:] for line in re.findall(r"^normexp .* data=files .*$", GUIDE, flags=re.MULTILINE)]
SMALL = ["steps=4", "depth=1", "model.width=16", "model.feed_forward=16"]


@pytest.fixture
def here(outside):
    """The working directory, with the files that the guide names."""
    rows = pairs(200)
    write_table(outside / "pairs.tsv", [("en", "de"), *rows])
    for side, language in enumerate(("en", "de")):
        write_table(outside / f"train.{language}", [[row[side]] for row in rows[:160]])
        write_table(outside / f"test.{language}", [[row[side]] for row in rows[160:]])
    write_table(
        outside / "reviews.csv", [("review", "stars"), *((en, str(i % 5 + 1)) for i, (en, _) in enumerate(rows))], ","
    )
    write_table(outside / "book.txt", [[en] for en, _ in rows])
    (outside / "corpus").mkdir()
    lines = (json.dumps({"translation": {"en": en, "de": de}}) + "\n" for en, de in rows)
    (outside / "corpus" / "train.jsonl").write_text("".join(lines))


@pytest.mark.slow
@pytest.mark.usefixtures("here", "svg_alone", "no_workers")
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_commands_work_as_written(command):
    done = in_process(*command, *SMALL)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.strip()


def test_every_kind_of_data_has_a_command():
    assert {command[0] for command in COMMANDS} == {"sweep", "train", "show"}
    assert len(COMMANDS) == 5
