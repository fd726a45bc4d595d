"""scripts/golden.py: what it writes, what it says, what it refuses."""

import runpy
import sys
from pathlib import Path

import pytest

from tests.support import golden

SCRIPT = str(Path(__file__).parents[2] / "scripts" / "golden.py")


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A user's folder with a variant, offered in addition to the package's."""
    (tmp_path / "variant").mkdir()
    (tmp_path / "variant" / "mine.yaml").write_text("_target_: normexp.variants.scaled_skip.ScaledSkip\nskip: 0.5\n")
    monkeypatch.setattr(sys, "path", [*sys.path])  # the script puts the checkout in front
    return tmp_path


@pytest.fixture
def script(lab, monkeypatch, capsys):
    def run(*words):
        golden.resolved.cache_clear()  # each call would be a new process
        monkeypatch.setattr(sys, "argv", ["golden.py", "--config-dir", str(lab), *words])
        runpy.run_path(SCRIPT, run_name="__main__")
        return capsys.readouterr().out

    return run


@pytest.mark.slow
def test_it_writes_what_is_missing_and_says_what_changed(script, lab):
    assert script() == "mine: new\n"
    path = golden.path("mine", lab / "golden")
    written = path.read_text()
    tasks = golden.read("mine", lab / "golden")
    assert len(written.splitlines()) == len(tasks) + 2
    assert script() == "every variant has its golden numbers\n"
    assert script("mine") == "mine: unchanged\n"

    (lab / "variant" / "mine.yaml").write_text("_target_: normexp.variants.scaled_skip.ScaledSkip\nskip: 0.6\n")
    first, *changes = script("--all").splitlines()
    assert first == "mine: changed"
    assert len(changes) == 2 * len(tasks)  # losses and gradient norms; no parameter came or went
    assert all(" → " in line for line in changes)
    assert path.read_text() != written


@pytest.mark.slow
def test_what_agrees_to_the_last_digits_is_left_as_it_is(script, lab):
    script()
    path = golden.path("mine", lab / "golden")
    kept = golden.read("mine", lab / "golden")
    kept[next(iter(kept))]["loss"][0] *= 1 + 1e-9  # another processor
    golden.write("mine", kept, lab / "golden")
    written = path.read_text()
    assert script("mine") == "mine: unchanged\n"
    assert path.read_text() == written


def test_the_change_that_is_named_is_the_largest():
    kept = {"task": {"parameters": 3, "loss": [1.0, 2.0, 4.0]}}
    assert golden.differences(kept, kept) == []
    now = {"task": {"parameters": 3, "loss": [1.1, 3.0, 4.0]}}
    assert golden.differences(kept, now) == ["task loss 2: 2.0 → 3.0 (the most of 2)"]
    assert golden.differences(kept, {**kept, "other": {"parameters": 5}}) == ["other parameters: nothing → 5"]
    assert golden.differences({**kept, "other": {"parameters": 5}}, kept) == ["other parameters: 5 → nothing"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["him"], "error: variant must be one of "),
        (["mine", "--config-dir", "nowhere"], "error: --config-dir must be a readable folder "),
    ],
)
def test_it_refuses_in_one_sentence(script, lab, capsys, words, sentence):
    with pytest.raises(SystemExit) as ended:
        script(*words)
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.err.startswith(sentence)
    assert len(said.err.splitlines()) == 1
    assert not said.out


@pytest.mark.slow
def test_numbers_that_are_not_finite_are_not_kept(script, lab, capsys):
    (lab / "variant" / "mine.yaml").write_text("_target_: normexp.variants.scaled_skip.ScaledSkip\nskip: 1e308\n")
    with pytest.raises(SystemExit):
        script()
    assert "is nan, and golden numbers are finite" in capsys.readouterr().err
    assert not (lab / "golden").exists()
