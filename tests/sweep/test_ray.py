"""--pool ray: tasks on a real Ray of two nodes continue when one of them is lost, with equal tables."""

import signal
from collections.abc import Iterator

import pytest

from normexp.errors import ConfigError, LaunchError
from normexp.records.folder import RunFolder
from normexp.sweep.plan import plan
from normexp.sweep.pools import make_pool
from tests.support import ray
from tests.support.runs import TINY, TWELVE, descendants, runs, same_tables, started, status, swept, wait_until


@pytest.fixture(scope="module")
def cluster() -> Iterator[tuple[str, int]]:
    with pytest.MonkeyPatch.context() as patch, ray.cluster() as found:
        for name, value in ray.SETTINGS.items():
            patch.setenv(name, value)
        yield found


def under_way(results, node: int) -> list[RunFolder]:
    """The runs on a node that have a checkpoint and go on."""
    below = descendants(node)
    going = [run for run in runs(results).values() if status(run)["state"] == "running" and run.checkpoint.exists()]
    return [run for run in going if status(run)["pid"] in below]


@pytest.mark.slow
def test_a_sweep_survives_an_interrupt_and_a_lost_node(cluster, tmp_path):
    """Twelve runs: after Ctrl-C the same command continues them, a node with one of them is killed, all complete."""
    address, node = cluster
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    there, line = tmp_path / "there", ("sweep", *TWELVE, "--pool=ray", f"ray.address={address}")

    first = started(*line, cwd=there)
    going: list[RunFolder] = []
    wait_until(lambda: going.extend(under_way(there / "results", node)) or going)
    first.send_signal(signal.SIGINT)
    _, said = first.communicate(timeout=300)
    assert first.returncode == 130, said
    assert going[0].status["state"] == "interrupted"
    assert "stopped after step" in going[0].log.read_text()

    second = started(*line, cwd=there)
    lost: list[RunFolder] = []
    wait_until(lambda: lost.extend(under_way(there / "results", node)) or lost)
    ray.kill(node)
    _, said = second.communicate(timeout=900)
    assert second.returncode == 0, said
    assert "Traceback" not in said
    assert "resumed after step" in lost[0].log.read_text()

    assert swept(*TWELVE, cwd=tmp_path / "here")
    assert same_tables(tmp_path / "here", there) == 24


def planned(tmp_path, *more):
    return plan("sweep", [*TINY, "seed=0,1", "variant=post_ln", f"results={tmp_path}/results", *more], elsewhere=True)


@pytest.mark.slow
def test_a_cluster_that_does_not_answer_is_one_sentence(tmp_path):
    pool = make_pool("ray", planned(tmp_path, "ray.address=127.0.0.1:9"), 0)
    with pytest.raises(LaunchError, match=r"^no Ray cluster answers at 127\.0\.0\.1:9: Connection refused$"):
        pool.run([tmp_path / "run"])


@pytest.mark.slow
@pytest.mark.parametrize("address", ["nowhere", "nowhere:x", "ray://10.0.0.1:10001", "a b:1"])
def test_what_is_no_address_is_refused_at_once(address, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(ConfigError, match=r"^RAY_ADDRESS must be HOST:PORT, as in 10\.0\.0\.1:6379; got "):
        make_pool("ray", planned(tmp_path), 0)


@pytest.mark.slow
def test_its_keys_are_for_it_alone(tmp_path):
    with pytest.raises(ConfigError, match=r"^ray\.gpus=0\.25 is only used by --pool ray; remove it$"):
        make_pool("local", planned(tmp_path, "ray.gpus=0.25"), 0)


@pytest.mark.slow
def test_without_ray_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("normexp.sweep.pools.ray.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"^--pool ray needs ray; pip install 'normexp\[ray\]'$"):
        make_pool("ray", planned(tmp_path), 0)
