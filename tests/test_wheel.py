"""The wheel holds all that a run needs, and works from any directory."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.runs import TINY

pytestmark = pytest.mark.slow
CHECKOUT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = ["-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(CHECKOUT)]
    subprocess.run([sys.executable, *command], check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


def test_the_wheel_holds_the_package_and_its_configs_alone(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    held = {path.relative_to(CHECKOUT).as_posix() for path in (CHECKOUT / "configs").rglob("*.yaml")}
    assert held <= {name.removeprefix("normexp/") for name in names}
    files = (path for path in (CHECKOUT / "normexp").rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    assert {path.relative_to(CHECKOUT).as_posix() for path in files} <= set(names)
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"normexp"}
    assert not any("tests" in name or "__pycache__" in name for name in names)


def test_the_installed_wheel_runs_from_any_directory(wheel, tmp_path):
    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    install = ["-m", "pip", "install", "--no-deps", "--no-index", "--quiet", "--target", str(site), str(wheel)]
    subprocess.run([sys.executable, *install], check=True, capture_output=True)
    environment = {k: v for k, v in os.environ.items() if k != "NORMEXP_RESULTS"} | {"PYTHONPATH": str(site)}

    def python(*words: str) -> str:
        command = [sys.executable, "-P", *words]
        return subprocess.run(
            command, cwd=elsewhere, env=environment, check=True, capture_output=True, text=True
        ).stdout

    assert python("-c", "import normexp; print(normexp.__file__)").startswith(str(site))
    assert "x ← LN(x + F(x))" in python("-m", "normexp", "show", *TINY)
    assert "completed" in python("-m", "normexp", "train", *TINY, "steps=3")
    (provenance,) = elsewhere.glob("results/*/*/provenance.json")
    assert '"git": null' in provenance.read_text()  # no checkout was involved
