"""Whatever is wrong with a command line: exit code 2, one sentence, nothing written. All lines: scripts/fuzz.py."""

import random

import pytest

from tests.support.fuzz import COMMAND_LINES, answer, bad_lines

LINES = list(bad_lines())


def test_there_are_enough_of_them():
    assert len(set(LINES)) >= 500


@pytest.mark.slow
@pytest.mark.parametrize("line", [*COMMAND_LINES, *random.Random(0).sample(LINES, 40)], ids=lambda line: line[:50])
def test_bad_input_is_refused(line):
    assert answer(line).fault == ""
