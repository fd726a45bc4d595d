"""What many tests need: tokens for a small model, one thread, the same random examples."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from normexp.sweep.pools.local import LocalPool
from normexp.views.style import SHEETS
from tests.support.runs import InProcess

# Property tests draw the same examples every time, as many as take little time, and keep no database.
settings.register_profile("normexp", derandomize=True, max_examples=50, deadline=None, database=None)
settings.load_profile("normexp")

torch.set_num_threads(1)  # as runs have it; more threads only wait for each other, most of all on a busy machine


@pytest.fixture(scope="session", autouse=True)
def _signals_reach_children() -> None:
    """Let a test interrupt a process of its own even where the suite itself was started with the signal ignored.

    That is how a shell without job control starts `pytest &` (SIGINT), nohup everything (SIGHUP), and some CI systems;
    children inherit an ignored signal, while one that is handled is back at its default in them.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Prepared data of tests goes to a folder of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NORMEXP_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def no_pdf(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures as PNG and SVG, which takes half as long, for tests that look at something else."""
    monkeypatch.setitem(SHEETS, "default", SHEETS["default"]._replace(kinds=("png", "svg")))


@pytest.fixture
def svg_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures as SVG, whose words can be read, which takes a quarter of the time."""
    monkeypatch.setitem(SHEETS, "default", SHEETS["default"]._replace(kinds=("svg",)))


@pytest.fixture
def no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs train in this process, for tests that look at something else; tests/sweep looks at workers."""
    monkeypatch.setattr(LocalPool, "run", InProcess.run)


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory outside the repository, whose modules are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NORMEXP_RESULTS", raising=False)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    for name, module in [*sys.modules.items()]:
        if str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def tokens() -> dict[str, torch.Tensor]:
    """Sources of 7 tokens and targets of 5, the second source padded after its fourth token."""
    generator = torch.Generator().manual_seed(0)
    source = torch.randint(4, 20, (3, 7), generator=generator)
    mask = torch.ones(3, 7, dtype=torch.bool)
    mask[1, 4:] = False
    return {
        "source": source,
        "source_mask": mask,
        "target": torch.randint(4, 20, (3, 5), generator=generator),
    }
