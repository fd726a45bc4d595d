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


def test_many_seeds_are_not_composed(composed):
    assert len(plan("sweep", [*TINY, "variant=post_ln", "seed=range(500)"]).runs) == 500
    assert composed() <= 5
