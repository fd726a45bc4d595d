"""From overrides to typed configs: grids, defaults, refusals."""

import os
from typing import Any

import pytest
from omegaconf.errors import ConfigAttributeError

from normexp.config.compose import Composer
from normexp.config.schema import Config, value_of
from normexp.errors import ConfigError, Interrupted
from normexp.sweep.plan import plan
from tests.support.runs import TINY


def configs(*overrides: str, command: str = "sweep", **more: Any) -> list[Config]:
    return [run.config for run in plan(command, [*TINY, *overrides], **more).runs]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("word", "key", "values"),
    [
        ("seed=range(3)", "seed", [0, 1, 2]),
        ("seed=range(1,8,3)", "seed", [1, 4, 7]),
        ("lr=choice(1e-3,2e-3)", "lr", [1e-3, 2e-3]),
        ("lr=1,2,3", "lr", [1.0, 2.0, 3.0]),
        ("depth=3,1,2", "depth", [3, 1, 2]),
        ("warmup=0,10%,5", "warmup", ["0", "10%", "5"]),
        ("optimizer.betas=[0.9,0.98],[0.8,0.9]", "optimizer.betas", [[0.9, 0.98], [0.8, 0.9]]),
        ("variant=glob(p*_ln)", "variant.name", ["peri_ln", "post_ln", "pre_ln"]),
        ("variant=glob(p*_ln,exclude=pe*)", "variant.name", ["post_ln", "pre_ln"]),
    ],
)
def test_grid_follows_hydras_grammar(word, key, values):
    found = configs(*([word] if word.startswith("variant") else [word, "variant=post_ln"]))
    if key.endswith(".name"):
        assert [config.variant.name for config in found] == values
    else:
        assert [value_of(config, key) for config in found] == values


@pytest.mark.slow
def test_grid_is_every_combination():
    found = {(c.depth, c.seed, c.variant.name) for c in configs("depth=1,2", "seed=range(2)", "variant=plain,pre_ln")}
    assert found == {(d, s, v) for d in (1, 2) for s in (0, 1) for v in ("plain", "pre_ln")}


@pytest.mark.slow
def test_sweep_compares_three_variants_by_default():
    assert [config.variant.name for config in configs("depth=2")] == ["post_ln", "pre_ln", "no_residual"]
    assert [config.variant.name for config in configs("variant=plain")] == ["plain"]
    assert [config.variant.name for config in configs(command="train")] == ["post_ln"]


@pytest.mark.slow
def test_value_given_twice_is_one_run():
    assert [config.seed for config in configs("variant=post_ln", "seed=1,1,0")] == [1, 0]


def test_depth_sets_both_stacks_unless_one_is_set():
    (config,) = configs("variant=post_ln", "depth=4", "model.decoder_depth=2")
    assert (config.model.encoder_depth, config.model.decoder_depth) == (4, 2)


def test_option_that_the_yaml_does_not_list_needs_no_plus():
    """norm/layer_norm.yaml lists eps; variant/b2t.yaml lists nothing, but the class has weight_scaling."""
    (config,) = configs("variant=b2t", "variant.weight_scaling=true")
    assert config.variant.options == {"weight_scaling": True}


def test_results_follow_the_environment_and_the_override(tmp_path):
    assert plan("train", TINY).results == tmp_path / "results"
    assert plan("train", [*TINY, f"results={tmp_path}/mine"]).results == tmp_path / "mine"


@pytest.mark.slow
def test_every_run_is_checked_before_any_starts(tmp_path):
    with pytest.raises(ConfigError, match="depth must be at least 1; got 0"):
        configs("depth=2,0")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("word", ["seed=range(0)", "variant=glob(nothing*)"])
def test_empty_grid_is_refused(word):
    with pytest.raises(ConfigError, match="must have at least one value"):
        configs(word)


def test_interval_and_endless_range_are_refused():
    with pytest.raises(ConfigError, match="must list its values"):
        configs("lr=interval(1e-4,1e-3)")
    with pytest.raises(ConfigError, match="at most 100,000 values"):
        configs("seed=range(1000000000)")


def test_unreadable_config_dir_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # tests may run as root, who may read everything
    with pytest.raises(ConfigError, match="must be a readable folder"):
        configs(config_dirs=[str(tmp_path)])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("_target_: nowhere.Mine\n", "variant=mine: cannot import nowhere.Mine"),
        ("_target_: normexp.variants.post_ln.Mine\n", "variant=mine: cannot import"),
        ("depth: 3\n", "variant=mine: its YAML needs a _target_"),
        ("_target_: normexp.variants.post_ln.PostLN\nfactor: 2\n", "variant.factor is not an option of variant=mine"),
        ("_target_: [\n", "is not valid YAML.*variant/mine.yaml"),
    ],
)
def test_wrong_user_yaml_is_refused_in_one_sentence(yaml, message, tmp_path):
    (tmp_path / "variant").mkdir()
    (tmp_path / "variant" / "mine.yaml").write_text(yaml)
    with pytest.raises(ConfigError, match=message) as refusal:
        configs("variant=mine", config_dirs=[str(tmp_path)])
    assert "\n" not in str(refusal.value)


@pytest.mark.slow
@pytest.mark.parametrize("data_seed", ["7", "${seed}"])
def test_interpolation_of_the_seed_follows_it_in_every_run(data_seed):
    found = configs("seed=range(4)", "variant=post_ln", f"data.seed={data_seed}")
    assert [config.seed for config in found] == [0, 1, 2, 3]
    assert [config.data.options["seed"] for config in found] == ([7] * 4 if data_seed == "7" else [0, 1, 2, 3])


@pytest.mark.parametrize("value", ["-1", "0", "1", "7", "'1'", '" -1"', "true,1"])
@pytest.mark.parametrize("key", ["model.tied", "training.compile"])
def test_a_number_is_not_true_or_false(key, value):
    with pytest.raises(ConfigError, match=f"^{key} must be true or false; got "):
        configs("variant=post_ln", f"{key}={value}")


@pytest.mark.parametrize(("value", "tied"), [("true", [True]), ("False", [False]), ("true,false", [True, False])])
def test_true_and_false_are(value, tied):
    assert [config.model.tied for config in configs("variant=post_ln", f"model.tied={value}")] == tied


def test_an_interrupt_inside_omegaconf_is_no_bad_input(monkeypatch):
    """OmegaConf's clean-up may fail after it, and Hydra reports that failure instead."""

    def interrupted(*args, **more):
        try:
            try:
                raise Interrupted
            finally:
                raise AttributeError("no attribute")
        except AttributeError as error:
            raise ConfigAttributeError("handlers: no attribute") from error

    composer = Composer("train")
    monkeypatch.setattr("hydra.compose", interrupted)
    with pytest.raises(Interrupted):
        composer.compose(["depth=3"])
