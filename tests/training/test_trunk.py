"""record.trunk: longer runs start from shorter ones, with the tables of runs from step 1."""

import shutil

import pytest

from normexp.errors import ConfigError
from normexp.records.folder import RunFolder
from normexp.sweep.executor import prepare
from normexp.sweep.plan import plan
from normexp.sweep.worker import execute
from normexp.training.trunk import branch, kept_step, trunk
from tests.support.configs import config_of
from tests.support.damage import DAMAGES
from tests.support.runs import TINY, tiny_config

KEYS = ("schedule=wsd", "warmup=3", "model.dropout=0.1", "record.checkpoint_every=4", "probe.every=3")
SHORT, LONG = 15, 25  # steps; the rates fall after 12 and 20


@pytest.mark.parametrize(
    ("schedule", "steps"),
    [
        ("wsd", 320),
        ("wsd schedule.decay=0.5", 200),
        ("constant", 400),
        ("inverse_sqrt", 400),
        ("linear", 40),
        ("cosine", 40),
    ],
)
def test_a_trunk_is_what_a_longer_run_shares(schedule, steps):
    assert trunk(config_of("steps=400", "warmup=40", *f"schedule={schedule}".split())) == steps


@pytest.mark.parametrize(
    ("keys", "step"),
    [
        ("schedule=wsd", 300),
        ("schedule=wsd record.checkpoint_every=40", 320),
        ("schedule=constant", 350),  # not the last step
        ("schedule=wsd record.trunk=false", 0),
        ("schedule=linear record.checkpoint_every=20", 40),
    ],
)
def test_the_last_checkpoint_on_the_trunk_is_kept(keys, step):
    assert kept_step(config_of("steps=400", "warmup=40", "record.trunk=true", *keys.split())) == step


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ("warmup=10%", "warmup as a number of steps, .* got 10%"),
        ("training.stop_stuck=50%", "training.stop_stuck as a number of steps, .* got 50%"),
        ("schedule=linear", "the first 40 of steps=400, .* schedule=linear falls; got record.checkpoint_every=50"),
        ("steps=50", "the first 40 of steps=50, .* schedule=wsd falls; got record.checkpoint_every=50"),
        ("steps=0 warmup=0 probe=[stream]", "the first 0 of steps=0"),
    ],
)
def test_a_run_without_a_trunk_is_refused(keys, sentence):
    with pytest.raises(ConfigError, match=f"^record.trunk needs .*{sentence}"):
        config_of("steps=400", "warmup=40", "schedule=wsd", "record.trunk=true", *keys.split())


def run(path, *overrides):
    folder = RunFolder(path)
    folder.create(tiny_config(*KEYS, *overrides))
    execute(path)
    assert folder.status["state"] == "completed"
    return folder


def tables(folder):
    return [(folder.path / name).read_bytes() for name in ("curves.parquet", "layers.parquet")]


def branched(folder):
    return "branched off" in folder.log.read_text()


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    return run(tmp_path_factory.mktemp("sweep") / "short", f"steps={SHORT}", "record.trunk=true")


@pytest.fixture
def sweep(short, tmp_path):
    """A sweep with a completed run of 15 steps, whose checkpoint after step 12 is kept."""
    shutil.copytree(short.path, tmp_path / "short")
    return tmp_path


@pytest.mark.slow
def test_a_branched_run_equals_one_from_step_1(sweep, tmp_path_factory):
    long = run(sweep / "long", f"steps={LONG}", "record.trunk=true")
    assert "branched off short after step 12" in long.log.read_text()
    assert "resumed after step 12" in long.log.read_text()
    assert [each.get("branched_from") for each in long.provenance] == ["short", None]
    whole = run(tmp_path_factory.mktemp("alone") / "long", f"steps={LONG}")
    assert tables(long) == tables(whole)
    longest = run(sweep / "longest", "steps=40", "record.trunk=true")
    assert "branched off long after step 20" in longest.log.read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    "other", ["seed=1", "warmup=4", "probe.every=5", "schedule.decay=0.3", "steps=13", "record.trunk=false"]
)
def test_only_a_longer_run_that_is_otherwise_equal_branches(sweep, other):
    """Of 13 steps, the rate falls after 10."""
    assert not branched(run(sweep / "other", f"steps={LONG}", "record.trunk=true", other))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *((name, damage) for name in ("trunk.pt", "layers.parquet") for damage in ("flip_a_byte", "cut_in_half")),
        *((name, damage) for name in ("trunk.pt", "curves.parquet", "config.yaml") for damage in ("remove", "link")),
        ("config.yaml", "empty"),
    ],
)
def test_a_damaged_neighbour_is_not_used(sweep, name, damage):
    DAMAGES[damage](sweep / "short" / name)
    assert not branched(run(sweep / "long", f"steps={LONG}", "record.trunk=true"))


@pytest.mark.slow
def test_any_byte_of_a_neighbours_config_may_be_wrong(sweep):
    """It is that run's affair, whichever key it hits; some change no table, such as `results`."""
    long, path = RunFolder(sweep / "long"), sweep / "short" / "config.yaml"
    long.create(config := tiny_config(*KEYS, f"steps={LONG}", "record.trunk=true"))
    text, found, done = path.read_bytes(), set(), "branched off short after step 12"
    for place in range(0, len(text), 7):
        path.write_bytes(text[:place] + bytes([text[place] ^ 0x15]) + text[place + 1 :])
        found.add(branch(long, config))
    assert found == {"", done}
    path.write_bytes(text)
    assert branch(long, config) == done


@pytest.mark.slow
def test_a_neighbour_that_went_back_behind_its_trunk_is_not_used(sweep):
    """It was killed between the kept checkpoint and its own, and is at an earlier step again."""
    back = run(sweep.parent / f"{sweep.name}-back" / "short", "steps=9")
    for name in ("curves.parquet", "files.json"):
        shutil.copy(back.path / name, sweep / "short" / name)
    assert not branched(run(sweep / "long", f"steps={LONG}", "record.trunk=true"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kept", "turns"),
    [
        ("true", [(20, 3), (20, 1), (40, 3), (40, 1), (60, 3), (60, 1)]),
        ("false", [(60, 3), (40, 3), (20, 3), (60, 1), (40, 1), (20, 1)]),
    ],
)
def test_shorter_runs_come_first(kept, turns, tmp_path):
    """Without trunks, the longest come first, so that no core idles at the end."""
    line = (*TINY, "steps=20,60,40", "depth=1,3", "variant=pre_ln", *KEYS)
    made = plan("sweep", [*line, f"record.trunk={kept}", f"results={tmp_path}"])
    order = [folder.config for folder in prepare(made, lambda text: None)]
    assert [(config.steps, config.depth) for config in order] == turns


def test_a_neighbour_that_other_code_trained_is_not_used(tmp_path):
    """Its name is another, but its config is the same, and the identity has the sources as they are now."""
    lab = tmp_path / "lab"
    (lab / "variant").mkdir(parents=True)
    (lab / "variant" / "own.yaml").write_text("_target_: own.Own\n")
    source = "from normexp.variants.post_ln import PostLN\n\n\nclass Own(PostLN): ...\n"
    (lab / "own.py").write_text(source)
    line = [*TINY, *KEYS, "record.trunk=true", "variant=own", f"steps={SHORT},{LONG}", f"results={tmp_path}/results"]

    def folders():
        sweep = plan("sweep", line, config_dirs=[str(lab)], name="try")
        sweep.create()
        return dict(zip((SHORT, LONG), sweep.folders, strict=True))

    execute(folders()[SHORT].path)
    assert branch(folders()[LONG], folders()[LONG].config)
    (lab / "own.py").write_text(source.replace("...", "pass"))
    edited = folders()[LONG]
    assert branch(edited, edited.config) == ""
