import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from normexp.errors import ConfigError
from normexp.records.events import Events
from normexp.views.runs import load_runs, split_sweeps
from normexp.views.tensorboard import Served, chosen, serve
from tests.support.cli import in_process

RUNS = [f"depth={depth},variant={variant}" for depth in ("06", "12") for variant in ("post_ln", "pre_ln")]
FOLDERS = [f"{name}-1a2b3c4d" for name in RUNS]
PROFILES = [f"profile depth{depth}-{variant}" for depth in ("06", "12") for variant in ("post_ln", "pre_ln")]
JSON = {"Content-Type": "application/json"}
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def server(make_logged: Path) -> Iterator[str]:
    with served(make_logged) as url:
        yield url


@pytest.fixture(scope="module")
def make_logged(tmp_path_factory: pytest.TempPathFactory, write_sweep_once: object) -> Path:
    folder: Path = write_sweep_once(  # type: ignore[operator]
        tmp_path_factory.mktemp("logged") / "try", depth=[6, 12], variant=["post_ln", "pre_ln"]
    )
    for run in load_runs(folder).to_dict("records"):
        place = Path(run["folder"])
        events = Events(place)
        events.hparams({key: run[key] for key in ("depth", "variant", "lr", "seed")}, ["final_loss", "bleu"])
        events.layout({"encoder": ["attention", "feed_forward"], "decoder": ["attention", "feed_forward"]})
        events.replay(pd.read_parquet(place / "curves.parquet"), pd.read_parquet(place / "layers.parquet"))
        events.finish(run)
        events.close()
    return folder


@contextlib.contextmanager
def served(folder: Path, last: str = "depth=12") -> Iterator[str]:
    """Serve the folder as `normexp tensorboard` does, until it has read all runs; stop it by Ctrl-C."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    code = "import sys; from normexp.views.tensorboard import serve; "
    code += "sys.exit(serve(sys.argv[1], int(sys.argv[2]), '127.0.0.1', False))"
    # In its own process group: Ctrl-C reaches the server and its data server, but not the tests.
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(folder), str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(OSError):
                images = ask(f"{url}/data/plugin/images/tags").get("sweep", [])
                if f"gradient norm by layer and step/{last}" in images:  # written after all others
                    break
            time.sleep(0.2)
        yield url
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(60) == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def ask(url: str, body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, JSON), timeout=10) as answer:
        return json.loads(answer.read())


def page(url: str, folder: Path, *options: str) -> str:
    """The output of headless Chromium for this page."""
    assert BROWSER
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    command += ["--no-first-run", "--virtual-time-budget=15000", "--window-size=1400,900"]
    command += [f"--user-data-dir={folder}", *options, url]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


@pytest.mark.slow
def test_each_run_shows_once_under_its_short_name(server: str) -> None:
    """Without the sweep's name and the digest; beside the runs, a profile per configuration and the sweep."""
    assert sorted(ask(f"{server}/data/runs")) == sorted([*RUNS, *PROFILES, "sweep"])


@pytest.mark.slow
def test_a_profile_has_the_layer_as_its_step(server: str) -> None:
    tags = ask(f"{server}/data/plugin/scalars/tags")
    assert sorted(tags[PROFILES[2]]) == [
        f"depth_profile_log10_grad_norm/{when} {stack}.{site}"
        for when in ("end", "start")
        for stack in ("decoder", "encoder")
        for site in ("attention", "feed_forward")
    ]
    tag = "depth_profile_log10_grad_norm/start%20encoder.attention"
    rows = ask(f"{server}/data/plugin/scalars/scalars?run={PROFILES[2].replace(' ', '%20')}&tag={tag}")
    assert [step for _, step, _ in rows] == list(range(1, 13))


@pytest.mark.slow
def test_losses_come_first(server: str) -> None:
    tags = ask(f"{server}/data/plugin/scalars/tags")
    groups = sorted({tag.split("/")[0] for run in tags.values() for tag in run})
    assert groups[:2] == ["curves", "depth_profile_log10_grad_norm"]


@pytest.mark.slow
def test_the_sweep_has_its_figures_and_its_table(server: str) -> None:
    images = ask(f"{server}/data/plugin/images/tags")
    assert {"figures/loss_curves", "figures/gradient_norms"} <= set(images["sweep"])
    assert any(tag.startswith("gradient norm by layer and step/") for tag in images["sweep"])
    texts = ask(f"{server}/data/plugin/text/text?run=sweep&tag=2%20table")
    assert "<table>" in texts[0]["text"]


@pytest.mark.slow
def test_hparams_has_one_row_per_run(server: str) -> None:
    request = {
        "experimentName": "",
        "allowedStatuses": ["STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING", "STATUS_UNKNOWN"],
        "colParams": [{"metric": {"group": "", "tag": "result/final_loss"}}, {"hparam": "variant"}],
        "startIndex": 0,
        "sliceSize": 100,
    }
    answer = ask(f"{server}/data/plugin/hparams/session_groups", request)
    assert isinstance(answer, dict)
    rows = {row["name"]: row for row in answer["sessionGroups"]}
    assert sorted(rows) == sorted(FOLDERS)
    row = rows["depth=12,variant=post_ln-1a2b3c4d"]
    assert row["hparams"] == {"depth": 12.0, "variant": "post_ln", "lr": 1e-3, "seed": 0.0}
    values = {value["name"]["tag"]: value["value"] for value in row["metricValues"]}
    assert values["result/final_loss"] == pytest.approx(1.2)
    assert [session["status"] for session in row["sessions"]] == ["STATUS_SUCCESS"]


@pytest.mark.slow
def test_custom_scalars_has_the_charts_once(server: str) -> None:
    layout = ask(f"{server}/data/plugin/custom_scalars/layout")
    assert isinstance(layout, dict)
    titles = [chart["title"] for category in layout["category"] for chart in category["chart"]]
    assert titles[0] == "negative log-likelihood (nats per token)"
    assert titles[1:] == [
        f"{stack} {site}" for stack in ("encoder", "decoder") for site in ("attention", "feed_forward")
    ]


@pytest.mark.slow
def test_a_single_run_keeps_its_name(make_logged: Path) -> None:
    assert RUNS[0] in chosen(make_logged / FOLDERS[0]).names


def test_a_folder_without_events_is_one_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no TensorBoard events in"):
        serve(tmp_path, 0, "127.0.0.1", False)


def test_the_link_has_no_smoothing_and_a_colour_per_variant(make_logged: Path) -> None:
    assert chosen(make_logged).link == "?smoothing=0&runColorGroup=regex:(post_ln|pre_ln)#timeseries"


def test_runs_that_would_share_a_name_keep_their_digest(make_sweep: Callable[..., Path]) -> None:
    folder = make_sweep("names", depth=[2], variant=["post_ln"])
    (run,) = folder.glob("depth*")
    shutil.copytree(run, folder / run.name.replace("1a2b3c4d", "5e6f7a8b"))
    (folder / "sweep.json").unlink()
    sweeps = split_sweeps(load_runs(folder))
    assert sorted(Served(sweeps).names) == [f"depth=02,variant=post_ln-{digest}" for digest in ("1a2b3c4d", "5e6f7a8b")]


@pytest.mark.slow
def test_too_many_runs_leave_the_newest_sweep(make_sweep: Callable[..., Path]) -> None:
    for name, seeds in (("old", 30), ("new", 12)):
        folder = make_sweep(name, depth=[1], variant=["post_ln"], seed=list(range(seeds)))
        for path in folder.glob("*/status.json"):
            path.write_text(json.dumps(json.loads(path.read_text()) | {"heartbeat": 2e9 if name == "new" else 1e9}))
    next(folder.glob("depth*")).joinpath("events.out.tfevents.1").touch()
    served = chosen(folder.parent)
    assert [sweep.name for sweep in served.sweeps] == ["new"]
    assert len(served.names) == 12
    assert "42 runs in 2 sweeps" in served.note


def page_with(words: Sequence[str], url: str, folder: Path) -> str:
    """The DOM of the page once it contains these words; on a busy machine the data may come late."""
    for attempt in range(5):
        text = page(url, folder / str(attempt), "--dump-dom")
        if all(word in text for word in words):
            break
    return text


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
def test_a_browser_shows_runs_and_charts(server: str, make_logged: Path, tmp_path: Path) -> None:
    wanted = [*RUNS, "nll/train"]
    text = page_with(wanted, f"{server}/{chosen(make_logged).link}", tmp_path / "all")
    assert all(word in text for word in wanted)
    wanted = ["decoder.01.feed_forward"]
    text = page_with(wanted, f"{server}/?tagFilter=layers_grad#timeseries", tmp_path / "layers")
    assert all(word in text for word in wanted)


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
def test_a_browser_draws_the_layout(server: str, tmp_path: Path) -> None:
    # The page hides its contents from the DOM, so check a screenshot: each of the four runs has a colour.
    shot = tmp_path / "shot.png"
    page(f"{server}/#custom_scalars", tmp_path, f"--screenshot={shot}")
    with Image.open(shot) as image:
        counts = {colour: count for count, colour in image.convert("RGB").getcolors(2**24) or []}
    vivid = [colour for colour, count in counts.items() if count > 100 and max(colour) - min(colour) > 100]
    bar = sum(colour[0] > 200 and colour[1] in range(100, 150) and colour[2] < 30 for colour in vivid)
    assert len(vivid) - bar >= 4


def test_it_binds_to_this_machine_unless_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, ...]] = []
    monkeypatch.setattr("normexp.views.tensorboard.serve", lambda *given: asked.append(given) or 0)
    assert in_process("tensorboard", str(tmp_path)).exit_code == 0
    assert asked == [(tmp_path, 6006, "127.0.0.1", True)]


def test_an_address_of_another_machine_is_one_sentence(make_logged: Path) -> None:
    with pytest.raises(ConfigError, match=r"^--host must be an address of this machine; got 203\.0\.113\.7"):
        serve(make_logged, 0, "203.0.113.7", False)
