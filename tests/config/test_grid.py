"""A grid composes few configs, and gives the same ones as composing each combination."""

import itertools

import pytest

from normexp.config.compose import Composer
from normexp.config.grid import configs
from normexp.sweep.plan import plan
from tests.support.runs import TINY


@pytest.fixture
def composed(monkeypatch):
    """The number of compositions so far."""
    count = itertools.count()
    original = Composer._compose

    def counted(self, overrides):
        next(count)
        return original(self, overrides)

    monkeypatch.setattr(Composer, "_compose", counted)
    return lambda: next(count)


GRIDS = [
    ["variant=post_ln,pre_ln", "depth=1,2,3", "seed=range(3)"],
    ["norm=layer_norm,rms_norm", "norm.eps=1e-3,1e-4,1e-5"],  # both change the same Choice
    ["attention=plain,all_attention", "model.width=16,32"],
    ["task=translation,classification", "lr=1e-3,2e-3", "seed=0,1,2,3"],
    ["depth=1,2,3", "model.decoder_depth=2,1"],
    ["seed=0,1,2", "data.seed=${seed}", "warmup=0,10%,3"],
    ["variant=post_ln,pre_ln,admin,hybrid_norm_star,per_stack", "depth=1,2"],
    ["variant=post_ln,pre_ln,sandwich,keel", "norm=layer_norm,rms_norm,none,scale_norm"],
    ["optimizer=adam,sgd,muon,radam", "optimizer.weight_decay=0.0,0.1"],  # an option of all of them
    ["steps=5,10,20", "optimizer=adam,sgd", "optimizer.weight_decay=0.0,0.1"],
]


@pytest.mark.slow
@pytest.mark.parametrize("grid", GRIDS, ids=" ".join)
def test_grid_equals_composing_every_combination(grid):
    composer = Composer("train")
    requests = composer.parse(grid)
    every = [
        composer.compose([r.override(value) for r, value in zip(requests, values, strict=True)])
        for values in itertools.product(*(r.values for r in requests))
    ]
    assert list(configs(composer, requests)) == every


@pytest.mark.slow
def test_nine_runs_compose_each_config_once_at_most(composed):
    sweep = plan("sweep", [*TINY, "depth=1,2,3"])
    assert len(sweep.runs) == 9
    assert composed() - 1 <= 9  # one more reads the defaults of `sweep`


@pytest.mark.slow
def test_entries_that_do_more_than_name_a_class_are_composed(tmp_path):
    """One reads another key and one sets another key; neither is what its file alone says."""
    (tmp_path / "variant").mkdir()
    scaled = "_target_: normexp.variants.scaled_skip.ScaledSkip"
    for name, text in {
        "by_depth": f"skip: ${{depth}}\n{scaled}\n",
        "with_steps": f"# @package _global_\nsteps: 7\nvariant: {{{scaled}}}\n",
        "like_admin": "defaults: [admin, _self_]\n",
        "as_others": f"{scaled}\n",
    }.items():
        (tmp_path / "variant" / f"{name}.yaml").write_text(text)
    composer = Composer("train", [str(tmp_path)])
    for names in ("by_depth,like_admin", "like_admin,as_others", "with_steps,as_others"):
        requests = composer.parse([f"variant=post_ln,pre_ln,{names},admin"])
        every = [composer.compose([requests[0].override(value)]) for value in requests[0].values]
        assert list(configs(composer, requests)) == every


@pytest.mark.slow
def test_fifty_variants_take_four_compositions(composed):
    assert len(plan("sweep", [*TINY, "variant=glob(*)", "seed=0"]).runs) > 50
    assert composed() <= 5


@pytest.mark.slow
def test_many_seeds_are_not_composed(composed):
    assert len(plan("sweep", [*TINY, "variant=post_ln", "seed=range(500)"]).runs) == 500
    assert composed() <= 5
