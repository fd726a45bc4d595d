"""The README's way to add a variant, followed to the letter, in a copy of the checkout and in a folder of one's own."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.support.cli import in_process

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
SECTION = README[README.index("## Add your own variant") : README.index("## Commands")]
SMALL = "steps=4 data.pairs=300 model.width=16 model.feed_forward=16 record.sentences=4"
DEPTHS = "model.encoder_depth=1 model.decoder_depth=1"


def files_of_the_readme() -> dict[str, str]:
    """Every block that names a file in its first line, by that name."""
    blocks = re.findall(r"^( *)```(?:python|yaml)\n(.*?)^ *```", SECTION, flags=re.MULTILINE | re.DOTALL)
    plain = [textwrap.dedent(block) for _, block in blocks]
    return {match[1]: block for block in plain if (match := re.match(r"# (\S+)\n", block))}


def commands_of_the_readme(word: str) -> list[list[str]]:
    return [line.split() for line in re.findall(rf"^ *({word} .*)$", SECTION, flags=re.MULTILINE)]


def write(files: dict[str, str], folder: Path) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Python in a folder whose own normexp, where it has one, comes first."""
    environment = {**os.environ, "PYTHONPATH": str(cwd), "COLUMNS": "200"}
    return subprocess.run([sys.executable, *words], cwd=cwd, env=environment, capture_output=True, text=True)


def names_in(table: str) -> list[str]:
    """The first word of each row of a results table, whose last column is the state."""
    return [line.split()[0] for line in table.splitlines() if line.rstrip().endswith(" completed")]


@pytest.fixture
def checkout(tmp_path):
    """The checkout without its results."""
    for name in ("normexp", "configs", "scripts", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    """Every file that somebody wrote, by its path in the folder."""
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_a_variant_takes_three_steps_and_three_files(checkout):
    before = contents(checkout)
    files = files_of_the_readme()
    assert list(files) == ["normexp/variants/half.py", "configs/variant/half.yaml"]
    assert sum(len(text.splitlines()) for text in files.values()) <= 20
    write(files, checkout)
    tests = ("-m", "pytest", "tests/variants/test_every_variant.py", "tests/variants/test_references.py")
    # Of the new variant alone: every other one has its own turn.
    chosen = ("-k", "half or cites", "-p", "no:cacheprovider")
    missing = run(*tests, "-k", "half and golden", "-p", "no:cacheprovider", cwd=checkout)
    assert "variant=half has no golden numbers: python scripts/golden.py half" in missing.stdout
    assert missing.stdout.count("FAILED") == 1

    ((_, *golden),) = commands_of_the_readme("python")
    written = run(*golden, cwd=checkout)
    assert written.stdout == "half: new\n", written.stderr
    passed = run(*tests, *chosen, cwd=checkout)
    assert passed.returncode == 0, passed.stdout
    # Under the norms, the attentions and the block; its golden numbers; the rule that papers want references.
    assert "5 passed" in passed.stdout
    after = contents(checkout)
    assert {name for name in after if after[name] != before.get(name)} == {*files, "tests/golden/half.json"}
    assert "`tests/golden/half.json`" in SECTION

    shown, swept = commands_of_the_readme("normexp")
    assert "h₁ = LN(0.5·x + A(x))" in run("-m", *shown, cwd=checkout).stdout
    table = run("-m", *swept, *SMALL.split(), *DEPTHS.split(), "--dry-run", cwd=checkout).stdout
    assert all(name in table for name in ("half", "post_ln", "pre_ln"))


@pytest.mark.usefixtures("svg_alone", "no_workers")
def test_the_same_two_files_work_from_a_folder_of_ones_own(outside):
    half, yaml = files_of_the_readme().values()
    assert "`_target_: half.Half`" in SECTION
    assert "`--config-dir lab`" in SECTION
    own = {"lab/half.py": half, "lab/variant/half.yaml": yaml.replace("normexp.variants.half.Half", "half.Half")}
    write(own, outside)
    ((_, *shown), (_, *swept)) = commands_of_the_readme("normexp")
    assert "x ← LN(½x + F(x))" in in_process(*shown, "--config-dir", "lab").stdout
    done = in_process(*swept, *SMALL.split(), *DEPTHS.split(), "--config-dir", "lab")
    assert done.exit_code == 0, done.stderr
    assert names_in(done.stdout) == ["half", "post_ln", "pre_ln"]
