"""From a command line to its cells: grids, names, identities."""

import os
from pathlib import Path
from typing import Any

import pytest

from normexp.config.compose import Composer, compose
from normexp.errors import ConfigError
from normexp.sweep.plan import identity
from tests.support.runs import TINY, tiny_config


@pytest.fixture(autouse=True)
def results(tmp_path, monkeypatch):
    monkeypatch.setenv("NORMEXP_RESULTS", str(tmp_path / "results"))


def cells(*line: str, command: str = "sweep", **more: Any) -> list[dict[str, Any]]:
    return [cell.config for cell in compose(command, [*TINY, *line], **more)[0].cells]


@pytest.mark.parametrize(
    ("word", "key", "values"),
    [
        ("seed=range(3)", "seed", [0, 1, 2]),
        ("seed=range(1,8,3)", "seed", [1, 4, 7]),
        ("lr=choice(1e-3,2e-3)", "lr", [1e-3, 2e-3]),
        ("depth=3,1,2", "depth", [3, 1, 2]),
        ("warmup=0,10%,5", "warmup", ["0", "10%", "5"]),
        ("optimizer.betas=[0.9,0.98],[0.8,0.9]", "optimizer.betas", [[0.9, 0.98], [0.8, 0.9]]),
        ("variant=glob(p*_ln)", "variant.name", ["peri_ln", "post_ln", "pre_ln"]),
        ("variant=glob(p*_ln,exclude=pe*)", "variant.name", ["post_ln", "pre_ln"]),
    ],
)
def test_a_grid_is_written_in_hydras_grammar(word, key, values):
    line = [word] if word.startswith("variant") else [word, "variant=post_ln"]
    found = []
    for value in cells(*line):
        for part in key.split("."):
            value = value[part]
        found.append(value)
    assert found == values


def test_a_grid_is_every_combination():
    found = {
        (c["depth"], c["seed"], c["variant"]["name"])
        for c in cells("depth=1,2", "seed=range(2)", "variant=plain,pre_ln")
    }
    assert found == {(d, s, v) for d in (1, 2) for s in (0, 1) for v in ("plain", "pre_ln")}


def test_three_variants_are_compared_unless_the_line_names_one():
    names = [config["variant"]["name"] for config in cells("depth=2")]
    assert names == ["post_ln", "pre_ln", "no_residual"]
    assert [config["variant"]["name"] for config in cells("variant=plain")] == ["plain"]
    assert [config["variant"]["name"] for config in cells(command="train")] == ["post_ln"]


def test_a_group_that_sets_keys_of_the_model_can_be_swept():
    tiny = [key for key in TINY if not key.startswith("model.feed_forward")]
    sweep, _ = compose("sweep", [*tiny, "attention=plain,all_attention", "variant=post_ln"])
    assert sweep.name.startswith("attention-translation-")
    assert sweep.swept == ("model.feed_forward", "model.persistent")
    names = [cell.name.rpartition("-")[0] for cell in sweep.cells]
    assert names == ["feed_forward256-persistent00", "feed_forward00-persistent256"]


def test_a_value_given_twice_is_one_cell():
    assert [config["seed"] for config in cells("variant=post_ln", "seed=1,1,0")] == [1, 0]


def test_depth_is_that_of_both_stacks_unless_one_is_set_apart():
    (config,) = cells("variant=post_ln", "depth=4", "model.decoder_depth=2")
    assert (config["model"]["encoder_depth"], config["model"]["decoder_depth"]) == (4, 2)


def name(*line: str, **more: Any) -> str:
    return compose("sweep", [*line, "variant=post_ln"], **more)[0].name


def test_a_sweeps_name_is_a_function_of_its_keys():
    one = name("seed=0,1", "steps=5")
    assert one.startswith("seed-translation-")
    assert one == name("seed=0,1", "steps=5")
    assert one == name("seed=0,1", "steps=5", "results=elsewhere")
    assert one == name("steps=5", "seed=0,1")  # the order of the words means nothing here
    assert one != name("seed=0,2", "steps=5")
    assert one != name("seed=0,1", "steps=6")


def test_a_sweep_can_be_named():
    assert name(name="my sweep") == "my-sweep"
    assert name("name=mine") == "mine"


def test_a_runs_name_says_what_is_swept_and_who_it_is():
    sweep, _ = compose("sweep", [*TINY, "depth=6,12", "seed=3", "warmup=10%,0", "variant=pre_ln"])
    names = [cell.name for cell in sweep.cells]
    digests = [identity(cell.config)[:8] for cell in sweep.cells]
    assert names[0] == f"depth06-warmup10pct-{digests[0]}"
    assert names[-1] == f"depth12-warmup0-{digests[-1]}"
    assert len(set(names)) == 4


def test_where_runs_land_follows_the_environment_and_the_line(tmp_path):
    assert compose("train", TINY)[0].results == tmp_path / "results"
    assert compose("train", [*TINY, f"results={tmp_path}/mine"])[0].results == tmp_path / "mine"


@pytest.mark.parametrize("word", ["name=other", "results=/elsewhere", "probe.every=3"])
def test_identity_ignores_what_cannot_change_the_result(word):
    assert identity(tiny_config(word)) == identity(tiny_config())


OTHERS = (
    "depth=2", "lr=2e-3", "warmup=0", "seed=1", "steps=21", "model.width=32", "model.heads=4", "model.feed_forward=64",
    "model.encoder_depth=2", "model.decoder_depth=2", "model.activation=gelu", "model.positions=learned",
    "model.tied=false", "model.dropout=0.1", "model.attention_dropout=0.1", "model.max_length=200", "variant=pre_ln",
    "norm=rms_norm", "norm.eps=0.01", "init=normal", "init.gain=2", "data=cldr_mixed", "data.seed=1", "optimizer=adamw",
    "optimizer.eps=1e-6", "schedule=cosine", "training.batch_tokens=500", "training.label_smoothing=0.1",
    "training.clip=1", "training.amp=bf16", "training.compile=true", "training.threads=2", "record.flush_every=5",
    "record.evaluate_every=50", "record.checkpoint_every=25", "record.sentences=5", "task=classification",
    "model.persistent=4", "attention=all_attention",
)  # fmt: skip


def test_identity_changes_with_every_other_key():
    tiny = [word for word in TINY if not word.startswith(("data", "record.sentences"))]
    composer = Composer("train")

    def digest(*words: str) -> str:
        return identity(composer.resolve([*tiny, *words]))

    digests = {word: digest(word) for word in OTHERS} | {"": digest()}
    assert len(set(digests.values())) == len(OTHERS) + 1


def write_variant(folder: Path, module: str) -> list[str]:
    """A user's variant that leans on a second file; the words that choose it."""
    (folder / "variant").mkdir(parents=True)
    (folder / "variant" / "mine.yaml").write_text(f"_target_: {module}.Mine\n")
    (folder / f"{module}.py").write_text(
        f"from {module}_help import FACTOR\nfrom normexp.variants.post_ln import PostLN\n\nclass Mine(PostLN): ...\n"
    )
    (folder / f"{module}_help.py").write_text("FACTOR = 1\n")
    (folder / "unrelated.py").write_text("A = 1\n")
    return [*TINY, "variant=mine"]


def test_identity_changes_with_the_users_sources_and_not_with_where_they_lie(tmp_path):
    def digest(folder: Path) -> str:
        sweep, _ = compose("train", line, config_dirs=[str(folder)])
        return identity(sweep.cells[0].config)

    line = write_variant(tmp_path / "one", "sources")
    write_variant(tmp_path / "two", "sources")
    first = digest(tmp_path / "one")
    assert first == digest(tmp_path / "two")
    (tmp_path / "one" / "unrelated.py").write_text("A = 2\n")
    assert first == digest(tmp_path / "one")
    (tmp_path / "one" / "sources_help.py").write_text("FACTOR = 2\n")
    assert first != digest(tmp_path / "one")
    assert first == digest(tmp_path / "two")


def test_every_cell_is_checked_before_any_starts(tmp_path):
    with pytest.raises(ConfigError, match="depth=0 is too small"):
        cells("depth=2,0")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("word", ["seed=range(0)", "variant=glob(nothing*)"])
def test_a_grid_without_any_value_is_refused(word):
    with pytest.raises(ConfigError, match="names no value at all"):
        cells(word)


def test_a_config_dir_without_permission_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # tests may run as root, who may read everything
    with pytest.raises(ConfigError, match="readable folder"):
        cells(config_dirs=[str(tmp_path)])


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("_target_: nowhere.Mine\n", "variant=mine: nowhere.Mine cannot be imported"),
        ("_target_: normexp.variants.post_ln.Mine\n", "variant=mine: .* cannot be imported"),
        ("depth: 3\n", "variant=mine: its YAML needs a _target_"),
        ("_target_: normexp.variants.post_ln.PostLN\nfactor: 2\n", "variant.factor is no option of variant=mine"),
        ("_target_: [\n", "is no YAML.*variant/mine.yaml"),
    ],
)
def test_a_users_yaml_that_is_wrong_is_refused_in_one_sentence(yaml, message, tmp_path):
    (tmp_path / "variant").mkdir()
    (tmp_path / "variant" / "mine.yaml").write_text(yaml)
    with pytest.raises(ConfigError, match=message) as refusal:
        cells("variant=mine", config_dirs=[str(tmp_path)])
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("data_seed", ["7", "${seed}"])
def test_what_follows_from_the_seed_follows_it_in_every_cell(data_seed):
    found = cells("seed=range(4)", "variant=post_ln", f"data.seed={data_seed}")
    assert [config["seed"] for config in found] == [0, 1, 2, 3]
    assert [config["data"]["seed"] for config in found] == ([7] * 4 if data_seed == "7" else [0, 1, 2, 3])
    assert len({id(config["model"]) for config in found}) == 4
