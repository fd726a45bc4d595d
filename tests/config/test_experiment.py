"""experiment=NAME: keys and a grid in a file of the user's."""

from pathlib import Path

import pytest

from normexp.errors import ConfigError
from normexp.sweep.plan import plan
from tests.support.cli import in_process
from tests.support.runs import TINY

MINE = """\
# @package _global_
defaults:
  - override /variant: b2t
  - override /task: classification
lr: 0.5
model:
  width: 32
grid:
  depth: [2, 3]
  optimizer.betas: [[0.9, 0.98], [0.8, 0.9]]
  seed: range(2)
"""
HYDRAS = """\
# @package _global_
hydra:
  sweeper:
    params:
      variant: pre_ln,plain
"""


@pytest.fixture
def lab(tmp_path):
    (tmp_path / "lab" / "experiment").mkdir(parents=True)
    (tmp_path / "lab" / "experiment" / "mine.yaml").write_text(MINE)
    (tmp_path / "lab" / "experiment" / "hydras.yaml").write_text(HYDRAS)
    return str(tmp_path / "lab")


@pytest.mark.slow
def test_the_file_sets_keys_groups_and_the_grid(lab):
    sweep = plan("sweep", ["experiment=mine"], config_dirs=[lab])
    assert sweep.swept == ("depth", "optimizer.betas", "seed")
    configs = [run.config for run in sweep.runs]
    assert len(configs) == 8
    assert {config.depth for config in configs} == {2, 3}
    assert {tuple(config.optimizer.options["betas"]) for config in configs} == {(0.9, 0.98), (0.8, 0.9)}
    assert {(c.variant.name, c.task.name, c.lr, c.model.width) for c in configs} == {("b2t", "classification", 0.5, 32)}


@pytest.mark.slow
def test_the_command_line_wins_over_the_file(lab):
    words = ["experiment=mine", "depth=5", "seed=1", "lr=0.25", "variant=pre_ln,plain", "optimizer.betas=[0.9,0.9]"]
    sweep = plan("sweep", words, config_dirs=[lab])
    assert sweep.swept == ("variant",)
    assert [(run.config.depth, run.config.lr) for run in sweep.runs] == 2 * [(5, 0.25)]


@pytest.mark.slow
def test_hydras_own_place_for_a_grid_works_too(lab):
    runs = plan("sweep", ["experiment=hydras", *TINY], config_dirs=[lab]).runs
    assert [run.config.variant.name for run in runs] == ["pre_ln", "plain"]


@pytest.mark.slow
def test_runs_are_those_of_the_same_keys_without_the_file(lab):
    """An experiment is a shorter command, not another identity."""
    words = ["variant=pre_ln,plain", *TINY]
    with_file = plan("sweep", ["experiment=hydras", *TINY], config_dirs=[lab]).runs
    assert [run.name for run in with_file] == [run.name for run in plan("sweep", words, config_dirs=[lab]).runs]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["experiment=mien"], "experiment=mien does not exist; did you mean mine?"),
        (["experiment=mine,hydras"], "experiment must be one name; got mine,hydras"),
    ],
)
def test_a_wrong_name_is_one_sentence(words, sentence, lab):
    with pytest.raises(ConfigError) as caught:
        plan("sweep", words, config_dirs=[lab])
    assert str(caught.value) == sentence


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("depth: 3\n", "experiment/wrong.yaml: its first line must be # @package _global_"),
        ("# @package _global_\ndepht: 3\n", "experiment/wrong.yaml: depht is not a key; did you mean depth?"),
        ("# @package _global_\ndepth: 1,2\n", "experiment/wrong.yaml: depth must be a whole number; got 1,2"),
        (
            "# @package _global_\nvariant: pre_ln\n",
            "variant: pre_ln cannot be set in a config file; choose it in the file's defaults list, as - override "
            "/variant: pre_ln",
        ),
    ],
)
def test_a_wrong_file_is_one_sentence(text, sentence, lab):
    (Path(lab) / "experiment" / "wrong.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        plan("sweep", ["experiment=wrong"], config_dirs=[lab])
    assert str(caught.value) == sentence


def test_train_needs_one_value(lab):
    with pytest.raises(ConfigError, match="depth must have one value here; `normexp sweep` takes several"):
        plan("train", ["experiment=mine"], config_dirs=[lab])


@pytest.mark.slow
def test_the_environment_names_the_folder(lab, monkeypatch, tmp_path):
    monkeypatch.setenv("NORMEXP_CONFIG_DIR", lab)
    shown = in_process("show", "experiment=mine").stdout
    assert shown.startswith("b2t: ")
    assert "  model.width: 32 (default 64)" in shown
    (tmp_path / "other").mkdir()
    other = in_process("show", "experiment=mine", "--config-dir", str(tmp_path / "other"))
    assert other.exit_code == 2
