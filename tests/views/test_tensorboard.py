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
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from normexp.records.events import Events
from normexp.views.runs import load_runs
from normexp.views.tensorboard import serve

RUNS = [f"depth={depth},variant={variant}-1a2b3c4d" for depth in ("06", "12") for variant in ("post_ln", "pre_ln")]
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
def served(folder: Path) -> Iterator[str]:
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
    expected = max(1, len(list(folder.glob("*/config.yaml"))))
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(OSError):
                if len(ask(f"{url}/data/runs")) >= expected:
                    break
            time.sleep(0.2)
        yield url
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(10) == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def ask(url: str, body: object = None) -> object:
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


def test_each_run_shows_once_under_its_folders_name(server: str) -> None:
    assert ask(f"{server}/data/runs") == sorted(RUNS)


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
    assert sorted(rows) == sorted(RUNS)
    row = rows["depth=12,variant=post_ln-1a2b3c4d"]
    assert row["hparams"] == {"depth": 12.0, "variant": "post_ln", "lr": 1e-3, "seed": 0.0}
    values = {value["name"]["tag"]: value["value"] for value in row["metricValues"]}
    assert values["result/final_loss"] == pytest.approx(1.2)
    assert [session["status"] for session in row["sessions"]] == ["STATUS_SUCCESS"]


def test_custom_scalars_has_the_charts_once(server: str) -> None:
    layout = ask(f"{server}/data/plugin/custom_scalars/layout")
    assert isinstance(layout, dict)
    titles = [chart["title"] for category in layout["category"] for chart in category["chart"]]
    assert titles[0] == "negative log-likelihood (nats per token)"
    assert titles[1:] == [
        f"{stack} {site}" for stack in ("encoder", "decoder") for site in ("attention", "feed_forward")
    ]


def test_a_single_run_keeps_its_name(make_logged: Path) -> None:
    with served(make_logged / RUNS[0]) as url:
        assert ask(f"{url}/data/runs") == [RUNS[0]]


def test_a_folder_without_events_is_one_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no TensorBoard events in"):
        serve(tmp_path, 0, "127.0.0.1", False)


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
def test_a_browser_shows_runs_and_charts(server: str, tmp_path: Path) -> None:
    wanted = [*RUNS, "grad_norm/decoder.01.feed_forward"]
    text = page_with(wanted, f"{server}/#timeseries", tmp_path / "all")
    assert all(word in text for word in wanted)
    text = page_with(["nll/train"], f"{server}/?tagFilter=nll#timeseries", tmp_path / "losses")
    assert "nll/train" in text


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
