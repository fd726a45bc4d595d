"""Options are finite and in range, and every default of the package is."""

import pytest

from normexp.config.choice import Choice
from normexp.config.compose import Composer
from normexp.config.limits import Limit
from normexp.config.schema import CLASSES
from normexp.errors import ConfigError
from normexp.sweep.plan import plan


@pytest.mark.parametrize("group", CLASSES)
def test_every_default_is_in_range(group):
    composer = Composer("train")
    for name in composer.options(group):
        assert composer.choice(group, name).factory


REFUSED = [
    ("norm.eps=nan", "norm.eps must be a finite number; got nan"),
    ("norm.eps=0", "norm.eps must be greater than 0; got 0"),
    ("lr=inf", "lr must be a finite number; got inf"),
    ("init.gain=0", "init.gain must be greater than 0; got 0"),
    ("data.seed=-1", "data.seed must be at least 0; got -1"),
    ("data.pairs=99999999999", "data.pairs must be at most 1,000,000; got 99999999999"),
    ("training.label_smoothing=nan", "training.label_smoothing must be a finite number; got nan"),
    ("optimizer.betas=[nan,1]", "optimizer.betas must be a finite number; got nan"),
    ("optimizer.lr=1", "optimizer.lr is not an option; set lr"),
    ("depth=100000000", "the model would have about .* parameters, which need .* GB .* this machine has"),
    ("seed=99999999999999999999", "seed must be at most 9,223,372,036,854,775,807"),
    ("seed=range(0,5,0)", "must have finite bounds and a step other than 0"),
    ("seed=range(1000000000)", "must have at most 100,000 values; it has 1,000,000,000"),
    ("seed=range(20000)", "name 60,000 runs; add --yes if you mean more than 10,000"),
    ("variant._target_=os.system", "_target_ must be a subclass of normexp.model.variant.Variant; got os.system"),
    ("data._target_=os.system", "_target_ must be a function that states that it returns a Corpus; got os.system"),
    ('name="\\e[31m"', "name must"),
    (f"name={'x' * 2000}", "name must have at most 1000 characters"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("override", "sentence"), REFUSED, ids=[override[:40] for override, _ in REFUSED])
def test_values_without_sense_are_refused(override, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=sentence) as refused:
        plan("sweep", [override])
    assert len(str(refused.value).splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_class_states_a_range_of_its_own(monkeypatch):
    from normexp.norms import LayerNorm

    monkeypatch.setattr(LayerNorm, "limits", {"eps": Limit(le=0.5)}, raising=False)
    assert Choice("norm", "mine", "normexp.norms.LayerNorm", {"eps": 0.0}).factory
    with pytest.raises(ConfigError, match=r"norm.eps must be at most 0.5; got 0.6"):
        _ = Choice("norm", "mine", "normexp.norms.LayerNorm", {"eps": 0.6}).factory
