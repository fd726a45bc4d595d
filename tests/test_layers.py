"""Imports at the top of modules point one way, so that no part needs what is built on it; files stay small."""

import ast
from pathlib import Path

import normexp

PACKAGE = Path(normexp.__file__).parent
LAYERS = (
    ("config",),
    ("data", "norms"),
    ("model",),
    ("variants", "addons", "probes", "records"),
    ("training",),
    ("views",),
    ("sweep",),
    ("studies", "maps"),
    ("cards", "trackers"),
    ("cli",),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}


def imported(path: Path) -> list[str]:
    """The folders of the package that a module imports from when it is imported."""
    names = [node.module or "" for node in ast.parse(path.read_text()).body if isinstance(node, ast.ImportFrom)]
    return [name.split(".")[1] for name in names if name.startswith("normexp.")]


def test_imports_point_one_way():
    upwards = {
        f"{path.relative_to(PACKAGE)} imports {other}"
        for path in PACKAGE.glob("*/**/*.py")
        for other in imported(path)
        if other in RANK and RANK[other] > RANK[path.relative_to(PACKAGE).parts[0]]
    }
    assert upwards == set()


def test_no_file_of_the_package_is_long():
    long = {path.name: count for path in PACKAGE.rglob("*.py") if (count := len(path.read_text().splitlines())) > 400}
    assert long == {}
