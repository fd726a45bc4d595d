"""Names and identities of runs and sweeps."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normexp.config.choice import Choice
from normexp.config.identity import identity, slugify, user_sources
from normexp.config.schema import from_dict, to_dict
from normexp.errors import ConfigError
from normexp.sweep.plan import plan
from tests.support.configs import config_of
from tests.support.runs import TINY, tiny_config


def sweep_name(*overrides: str, **more: str) -> str:
    return plan("sweep", [*overrides, "variant=post_ln"], **more).name


@pytest.mark.slow
def test_sweep_name_is_a_function_of_the_overrides():
    one = sweep_name("seed=0,1", "steps=5")
    assert one.startswith("seed-translation-")
    assert one == sweep_name("seed=0,1", "steps=5")
    assert one == sweep_name("seed=0,1", "steps=5", "results=elsewhere")
    assert one == sweep_name("steps=5", "seed=0,1")  # their order means nothing here
    assert one != sweep_name("seed=0,2", "steps=5")
    assert one != sweep_name("seed=0,1", "steps=6")


@pytest.mark.slow
def test_sweep_can_be_named():
    assert sweep_name(name="mine") == "mine"
    assert sweep_name("name=mine") == "mine"


@pytest.mark.parametrize("name", ["my sweep", "my/sweep", "a" * 300, "..", "\x1b[31m"])
def test_name_that_cannot_be_a_folder_is_refused(name):
    """Two names must not share a folder silently, and no name may leave the results folder."""
    with pytest.raises(ConfigError, match=r"^name must "):
        sweep_name(name=name)


@pytest.mark.slow
def test_run_name_has_the_swept_values_and_the_identity():
    sweep = plan("sweep", [*TINY, "depth=6,12", "seed=3", "warmup=10%,0", "variant=pre_ln"])
    names = [run.name for run in sweep.runs]
    digests = [identity(run.config)[:8] for run in sweep.runs]
    assert names[0] == f"depth06-warmup10pct-{digests[0]}"
    assert names[-1] == f"depth12-warmup0-{digests[-1]}"
    assert len(set(names)) == 4


@pytest.mark.slow
def test_group_that_sets_model_keys_can_be_swept():
    tiny = [key for key in TINY if not key.startswith("model.feed_forward")]
    sweep = plan("sweep", [*tiny, "attention=plain,all_attention", "variant=post_ln"])
    assert sweep.name.startswith("attention-translation-")
    assert sweep.swept == ("model.feed_forward", "model.persistent")
    names = [run.name.rpartition("-")[0] for run in sweep.runs]
    assert names == ["feed_forward256-persistent00", "feed_forward00-persistent256"]


@pytest.mark.parametrize("word", ["name=other", "results=/elsewhere", "probe.every=3", "training.threads=2"])
def test_identity_ignores_what_cannot_change_the_result(word):
    assert identity(tiny_config(word)) == identity(tiny_config())


OTHERS = (
    "depth=2", "lr=2e-3", "warmup=0", "seed=1", "steps=21", "model.width=32", "model.heads=4", "model.feed_forward=64",
    "model.encoder_depth=2", "model.decoder_depth=2", "model.activation=gelu", "model.positions=learned",
    "model.positions=rotary", "model.positions=alibi", "model.positions=none",
    "model.tied=false", "model.dropout=0.1", "model.attention_dropout=0.1", "model.max_length=200", "variant=pre_ln",
    "norm=rms_norm", "norm.eps=0.01", "init=normal", "init.gain=2", "data=cldr_mixed", "data.seed=1", "optimizer=adamw",
    "optimizer.eps=1e-6", "schedule=cosine", "training.batch_tokens=500", "training.label_smoothing=0.1",
    "training.clip=1", "training.amp=bf16", "training.compile=true", "record.flush_every=5",
    "record.evaluate_every=50", "record.checkpoint_every=25", "record.sentences=5", "task=classification",
    "model.persistent=4", "attention=all_attention", "model.activation=swiglu", "model.biases=false", "block=llama",
)  # fmt: skip


@pytest.mark.slow
def test_identity_changes_with_every_other_key():
    tiny = [word for word in TINY if not word.startswith(("data", "record.sentences"))]
    digests = {word: identity(config_of(*tiny, word)) for word in OTHERS} | {"": identity(config_of(*tiny))}
    assert len(set(digests.values())) == len(OTHERS) + 1


def test_config_survives_the_run_folder():
    config = tiny_config("probe=[stream,output_shift]", "variant=b2t", "variant.weight_scaling=true")
    assert from_dict(to_dict(config)) == config
    assert identity(from_dict(to_dict(config))) == identity(config)
    assert hash(from_dict(to_dict(config))) == hash(config)


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


USER_FILES = {
    "variant/mine.yaml": "_target_: sources.Mine\n",
    "sources.py": "from sources_help import FACTOR\nfrom normexp.variants.post_ln import PostLN\n\n"
    "class Mine(PostLN): ...\n",
    "sources_help.py": "FACTOR = 1\n",
    "unrelated.py": "A = 1\n",
}


@pytest.mark.slow
def test_identity_follows_the_users_sources_not_their_place(tmp_path):
    def digest(folder: str) -> str:
        return identity(config_of(*TINY, "variant=mine", config_dirs=[str(tmp_path / folder)]))

    for folder in ("one", "two"):
        write(tmp_path / folder, USER_FILES)
    first = digest("one")
    assert first == digest("two")
    write(tmp_path / "one", {"unrelated.py": "A = 2\n"})
    assert first == digest("one")
    write(tmp_path / "one", {"sources_help.py": "FACTOR = 2\n"})
    assert first != digest("one")
    assert first == digest("two")


PACKAGE = {
    "lab/__init__.py": "from .factors import FACTOR\n",
    "lab/factors.py": "FACTOR = 1\n",
    "lab/deep/__init__.py": "",
    "lab/deep/mine.py": "from ..scales import SCALE\nfrom . import sibling\n\nclass Mine: ...\n",
    "lab/deep/sibling.py": "A = 1\n",
    "lab/scales.py": "SCALE = 1\n",
    "lab/unrelated.py": "B = 1\n",
}


def test_sources_include_relative_imports_and_packages(tmp_path):
    """Editing a helper that is imported relatively, or an __init__.py, must give the run a new identity."""
    write(tmp_path, PACKAGE)
    found = user_sources([str(tmp_path)], [Choice("variant", "mine", "lab.deep.mine.Mine")])
    assert set(found) == set(PACKAGE) - {"lab/unrelated.py"}


@pytest.mark.slow
@given(st.text())
def test_slug_is_safe_for_a_path(text):
    assert re.fullmatch(r"[A-Za-z0-9_+]?[A-Za-z0-9._+-]*", slugify(text))
    assert slugify(slugify(text)) == slugify(text)


def test_of_two_folders_the_source_that_is_imported_counts(tmp_path):
    """The last one is searched first."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.py").write_text(f"{name} = 1\n")
    folders = [str(tmp_path / name) for name in ("one", "two")]
    assert user_sources(folders, [Choice("variant", "mine", "mine.Mine")]) == {"mine.py": "two = 1\n"}
