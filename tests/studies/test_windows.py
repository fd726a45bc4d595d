"""What was fixed before the runs is on record."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
METHOD = ROOT / "results" / "reference" / "METHOD.md"


@pytest.mark.slow
def test_the_method_has_the_hash_of_all_windows():
    """Whoever moves a window has to change the page that says when they were fixed."""
    printed = subprocess.check_output([sys.executable, ROOT / "scripts" / "claims.py", "--windows"], text=True)
    count, digest = re.search(r"sha256 over the (\d+) lines above: (\w{64})", printed).groups()
    assert f"{count} windows" in METHOD.read_text()
    assert digest in METHOD.read_text()
