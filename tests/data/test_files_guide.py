"""The commands of "Your own data" in the guide to configs, as written, on files of these names."""

import json
import re
import shlex
from pathlib import Path

import pytest

from tests.support.files import pairs, write_table
from tests.support.runs import normexp

GUIDE = (Path(__file__).parents[2] / "configs" / "README.md").read_text()
COMMANDS = [shlex.split(line)[1:] for line in re.findall(r"^normexp .* data=files .*$", GUIDE, flags=re.MULTILINE)]
SMALL = ["steps=4", "depth=1", "model.width=16", "model.feed_forward=16"]


@pytest.fixture
def here(tmp_path):
    """A folder with the files that the guide names."""
    rows = pairs(200)
    write_table(tmp_path / "pairs.tsv", [("en", "de"), *rows])
    for side, language in enumerate(("en", "de")):
        write_table(tmp_path / f"train.{language}", [[row[side]] for row in rows[:160]])
        write_table(tmp_path / f"test.{language}", [[row[side]] for row in rows[160:]])
    write_table(
        tmp_path / "reviews.csv", [("review", "stars"), *((en, str(i % 5 + 1)) for i, (en, _) in enumerate(rows))], ","
    )
    write_table(tmp_path / "book.txt", [[en] for en, _ in rows])
    (tmp_path / "corpus").mkdir()
    lines = (json.dumps({"translation": {"en": en, "de": de}}) + "\n" for en, de in rows)
    (tmp_path / "corpus" / "train.jsonl").write_text("".join(lines))
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_commands_work_as_written(command, here):
    done = normexp(*command, *SMALL, cwd=here)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_every_kind_of_data_has_a_command():
    assert {command[0] for command in COMMANDS} == {"sweep", "train", "show"}
    assert len(COMMANDS) == 5
