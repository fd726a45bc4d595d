"""The README of normexp/variants is run as a user would: its examples work and its table names every method."""

import re
from pathlib import Path

import pytest

from normexp.variants import Variant
from normexp.views.show import describe
from tests.support.runs import tiny_config

README = (Path(__file__).parents[2] / "normexp" / "variants" / "README.md").read_text()
FILE = re.compile(r"`lab/([\w/]+\.\w+)`:\n\n```\w+\n(.*?)```", re.DOTALL)


@pytest.fixture
def lab(outside):
    """The files of the README, written to a folder."""
    for name, text in FILE.findall(README):
        path = outside / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return str(outside)


def test_examples_are_short():
    texts = dict(FILE.findall(README))
    assert set(texts) == {"half.py", "variant/half.yaml", "soft_norm.py", "norm/soft_norm.yaml"}
    assert all(len(text.splitlines()) <= 20 for text in texts.values())


def test_the_variant_runs(lab):
    shown = describe(tiny_config("variant=half", config_dirs=[lab]))
    assert "half: x ← LN(x + aF(x)), a = ½ at the start\n" in shown
    assert "h₁ = LN(x + a·A(x))" in shown
    assert "encoder a, at every site: 0.5 (learned)" in shown


def test_the_norm_runs(lab):
    assert "h₁ = Soft(x + A(x))" in describe(tiny_config("norm=soft_norm", config_dirs=[lab]))


def test_the_table_names_every_method():
    methods = {name for name, value in vars(Variant).items() if callable(value) and not name.startswith("_")}
    assert set(re.findall(r"^\| `(\w+)\(", README, re.MULTILINE)) == methods


def test_the_files_it_names_exist():
    folder = Path(__file__).parents[2] / "normexp" / "variants"
    names = re.findall(r"`(\w+\.py)`", README.partition("## Adding one")[0])
    assert len(names) > 10
    assert all((folder / name).is_file() for name in names if name != "papers.py")
