"""`normexp check` and `card` on the command line: what they print and refuse, and their exit codes."""

from pathlib import Path

import pytest

from tests.support.cli import in_process

SMALL = ["depth=3", "task=language_modelling", "model.width=16", "model.heads=2", "model.feed_forward=16"]


@pytest.mark.slow
def test_check_prints_a_sentence_per_check(lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = in_process("check", "variant=harmless", *SMALL, "--config-dir", str(lab))
    assert (done.exit_code, done.stderr) == (0, "")
    first, *others = (line.rstrip() for line in done.stdout.splitlines())
    assert first == "harmless passes all 8 checks."
    assert others[1] == "passes  It reads no future token."
    assert len(others) == 8
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_check_names_the_mistake_and_fails(lab: Path) -> None:
    done = in_process("check", "variant=mean_over_tokens", *SMALL, "--config-dir", str(lab))
    assert (done.exit_code, done.stderr) == (1, "")
    assert done.stdout.startswith("mean_over_tokens fails 2 of 8 checks: it reads future tokens; it depends on")
    assert "\nfails   It reads future tokens: decoder layer 1, what attention reads" in done.stdout


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("depth=3,6", "depth must have one value for `normexp check`; run it once per value"),
        ("lr=1e-3", "lr is not used by `normexp check`; remove it"),
        ("probe=[stream]", "probe is not used by `normexp check`; remove it"),
        ("variant=harmles", "variant=harmles does not exist; did you mean harmless?"),
        ("depth=0", "depth must be at least 1; got 0"),
        ("norm=instance_norm", "norm=instance_norm cannot be used in a causal stack"),
    ],
)
def test_bad_input_is_one_sentence(words: str, sentence: str, lab: Path) -> None:
    done = in_process("check", words, "--config-dir", str(lab))
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"error: {sentence}")


def test_a_card_refuses_what_it_does_not_read(lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written then."""
    monkeypatch.chdir(tmp_path)
    for words, sentence in (
        (["lr=1e-3"], "lr is not used by `normexp card`; remove it"),
        (["seed=1,2"], "seed must have one value for `normexp card`; run it once per value"),
        (["--out", "/dev/null"], "--out must be a folder that can be created; got /dev/null"),
    ):
        done = in_process("card", "variant=harmless", "--config-dir", str(lab), *words)
        assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert done.stderr.startswith(f"error: {sentence}")
    assert list(tmp_path.iterdir()) == []
