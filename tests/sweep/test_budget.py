"""Training for so many tokens or FLOPs."""

import pytest

from normexp.config.identity import identity
from normexp.data.corpus import load_corpus
from normexp.errors import ConfigError
from normexp.model.flops import cost
from normexp.sweep.plan import plan
from tests.support.runs import TINY, tiny_config

BASE = tuple(word for word in TINY if not word.startswith("steps"))


def runs(*words):
    return [run.config for run in plan("sweep", [*BASE, "variant=post_ln", *words]).runs]


@pytest.mark.slow
def test_tokens_are_steps_of_the_mean_batch():
    one, two = runs("tokens=4000,8000")
    per_step = cost(one, load_corpus(one.data)).tokens_per_step
    assert (one.steps, two.steps) == (round(4000 / per_step), round(8000 / per_step))


@pytest.mark.slow
def test_flops_buy_a_deeper_model_fewer_steps():
    shallow, deep = runs("flops=1e10", "depth=1,4")
    assert shallow.steps > 2 * deep.steps
    for config in (shallow, deep):
        step = cost(config, load_corpus(config.data))
        bought = config.steps * step.tokens_per_step * step.flops_per_token
        assert bought == pytest.approx(1e10, rel=0.5 / config.steps)


@pytest.mark.slow
def test_the_steps_that_follow_are_the_runs_identity():
    (config,) = runs("flops=1e9")
    assert identity(config) == identity(tiny_config("variant=post_ln", f"steps={config.steps}"))


@pytest.mark.slow
def test_times_are_within_the_steps_that_follow():
    (config,) = runs("flops=1e10", "warmup=100")
    assert config.steps > 100
    with pytest.raises(ConfigError, match=r"^warmup must be between 0 and steps="):
        runs("flops=1e9", "warmup=1000")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("tokens=4000", "steps=7"), "tokens and steps both say how long to train; remove one of them"),
        (("tokens=4000", "flops=1e9"), "tokens and flops both say how long to train; remove one of them"),
        (("flops=1",), "flops must be at least "),
        (("tokens=-1",), "tokens must be at least 0; got -1.0"),
        (("flops=nan",), "flops must be a finite number; got nan"),
        (("flops=1e31",), "flops must be less than 1e+30; got 1e+31"),
    ],
)
def test_a_budget_that_means_nothing_is_refused(words, said):
    with pytest.raises(ConfigError) as refused:
        runs(*words)
    assert str(refused.value).startswith(said)


def test_a_probe_has_no_budget():
    with pytest.raises(ConfigError, match=r"^flops is not used where nothing is trained; remove it$"):
        plan("probe", [*BASE, "variant=post_ln", "flops=1e9"])


def test_a_variant_that_needs_numbers_has_no_budget(tmp_path):
    (tmp_path / "variant").mkdir()
    (tmp_path / "variant" / "branching.yaml").write_text("_target_: branching.Branching\n")
    (tmp_path / "branching.py").write_text(
        "from normexp.variants.pre_ln import PreLN\n\nclass Branching(PreLN):\n"
        "    def join(self, x, site):\n        return super().join(x, site) if float(x.sum()) > 0 else x\n"
    )
    with pytest.raises(ConfigError, match=r"^tokens and flops cannot be counted for variant=branching, use steps: "):
        plan("train", [*BASE, "variant=branching", "flops=1e9"], config_dirs=[str(tmp_path)])
