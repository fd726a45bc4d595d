"""The examples for other clusters are valid YAML, and their commands are ones that normexp accepts."""

import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from normexp.sweep.plan import plan

FOLDER = Path(__file__).parents[1] / "scripts" / "clusters"


def command(name: str) -> list[str]:
    """The words of the sweep in an example."""
    node: Any = yaml.safe_load((FOLDER / name).read_text())
    if name == "skypilot.yaml":
        return shlex.split(node["run"])[1:]
    (container,) = node["spec"]["template"]["spec"]["containers"]
    return container["command"]


@pytest.mark.slow
@pytest.mark.parametrize("name", [path.name for path in sorted(FOLDER.glob("*.yaml"))])
def test_the_sweep_of_an_example_can_be_planned(name):
    words = command(name)
    assert Path(words[0]).name == "normexp"
    assert words[-2] == "--jobs"
    assert len(plan(words[1], words[2:-2], elsewhere=True).runs) == 45
